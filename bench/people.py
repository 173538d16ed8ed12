"""A brand with customers, made by set-based SQL from their numbers alone: the same rows on every machine."""

from dataclasses import dataclass

from django.utils import timezone

from bench.scratch import Admin
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom.models import Corp

STORES = 20
CATEGORIES = ("婴童", "家纺", "女装", "个护", "母婴")
EVERYTHING = ("tenants_auditentry", "wecom_corp", "contacts_contact", "contacts_staff", "events_event", "tagging_tag")


@dataclass(frozen=True, slots=True)
class People:
    """Who was made."""

    brand_id: int
    corp_id: int
    contacts: int


def make(admin: Admin, *, slug: str, contacts: int, guides: int) -> People:
    """A brand with so many contacts; each follows one guide, every third a second one, and has a unionid."""
    brand = Brand.objects.create(name=slug, slug=slug)
    now = timezone.now()
    with brand_scope(brand.pk):
        corp = Corp.objects.create(corpid=f"ww-{slug}", name=slug, connected_at=now)
    ours = [brand.pk, corp.pk]
    admin.run(
        "INSERT INTO contacts_store (brand_id, corp_id, department_id, name)"
        " SELECT %s, %s, n, '门店' || n FROM generate_series(1, %s) n",
        [*ours, STORES],
    )
    admin.run(
        """INSERT INTO contacts_staff (brand_id, corp_id, userid, name, store_id, is_guide, wecom_status)
           SELECT %s, %s, 'guide' || n, '导购' || n, (SELECT id FROM contacts_store WHERE department_id = 1 + n %% %s
                  AND brand_id = %s), true, 1 FROM generate_series(1, %s) n""",
        [*ours, STORES, brand.pk, guides],
    )
    _contacts(admin, brand.pk, contacts)
    admin.run("VACUUM ANALYZE contacts_store, contacts_staff, contacts_contact, contacts_identity, contacts_follow")
    return People(brand.pk, corp.pk, contacts)


def _contacts(admin: Admin, brand_id: int, contacts: int) -> None:
    admin.run(
        """WITH guide AS (SELECT array_agg(id ORDER BY id) AS ids FROM contacts_staff WHERE brand_id = %(brand)s)
           INSERT INTO contacts_contact (brand_id, name, avatar, gender, kind, phone, main_guide_id, source_state,
                                         first_added_at, created_at)
           SELECT %(brand)s, '客户' || n, '', n %% 3, 1, '', g.ids[1 + n %% cardinality(g.ids)], '',
                  now() - make_interval(days => 1 + n %% 400), now()
           FROM generate_series(1, %(contacts)s) n, guide g ORDER BY n""",
        {"brand": brand_id, "contacts": contacts},
    )
    admin.run(
        """INSERT INTO contacts_identity (brand_id, id, contact_id, type, value, first_seen_at)
           SELECT c.brand_id, made_id(c.brand_id || ':identity:unionid:' || 'ou' || substr(c.name, 3)), c.id, 'unionid',
                  'ou' || substr(c.name, 3), c.created_at
           FROM contacts_contact c WHERE c.brand_id = %s""",
        [brand_id],
    )
    admin.run(
        """WITH guide AS (SELECT array_agg(id ORDER BY id) AS ids FROM contacts_staff WHERE brand_id = %(brand)s)
           INSERT INTO contacts_follow (brand_id, staff_id, contact_id, external_userid, remark, description, add_way,
                                        state, corp_tag_ids, added_at, lost_by, seen_run)
           SELECT c.brand_id, g.ids[1 + (n.n + other * 7) %% cardinality(g.ids)], c.id, 'wm' || c.id,
                  '', '', 0, '', '{}', c.first_added_at + make_interval(days => other), '', 0
           FROM contacts_contact c, guide g, LATERAL (SELECT substr(c.name, 3)::int AS n) n, generate_series(0, 1) other
           WHERE c.brand_id = %(brand)s AND (other = 0 OR n.n %% 3 = 0)""",
        {"brand": brand_id},
    )


def visits(admin: Admin, people: People, *, events: int) -> None:
    """So many events of the last 60 days: mostly product views, some carts, sign-ins and paid orders."""
    admin.run(
        """WITH contact AS (SELECT array_agg(id ORDER BY id) AS ids FROM contacts_contact WHERE brand_id = %(brand)s)
           INSERT INTO events_event (brand_id, id, occurred_at, received_at, type, source, contact_id, props, fires,
                                     txid)
           SELECT %(brand)s, md5('bench:' || n)::uuid,
                  now() - make_interval(secs => abs(hashint4(n)::bigint) %% 5184000), now(),
                  CASE WHEN n %% 20 < 15 THEN 'product_view' WHEN n %% 20 < 17 THEN 'add_cart'
                       WHEN n %% 20 < 19 THEN 'sign_in' ELSE 'order_paid' END, 'api',
                  c.ids[1 + abs(hashint8(n::bigint)::bigint) %% cardinality(c.ids)],
                  jsonb_build_object('category', (%(categories)s::text[])[1 + abs(hashint4(n + 1)::bigint) %% 5],
                                     'product_id', 'P' || n %% 200, 'dwell_seconds', n %% 60), true, 1 + n / 500
           FROM generate_series(1, %(events)s) n, contact c""",
        {"brand": people.brand_id, "events": events, "categories": list(CATEGORIES)},
    )
    admin.run("VACUUM ANALYZE events_event")

"""Every call of the REST API against rows that alice's brand has, and what a brand's rows look like from outside."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from contacts import merging
from contacts.models import Identity, IdentityConflict
from scrm.lib.ids import made_id
from tagging.rules import rerun
from tenants.scope import brand_scope
from tenants.tables import TenantModel
from tests.cast import Cast
from tests.media.files import png

PREFIX = "api/v1/"
Call = tuple[str, str]
"""(method, route as in the URLconf)"""
NOBODY = 10**9
"""an id that no row has"""


@dataclass
class World:
    """Alice's rows, by the names that the calls below use."""

    cast: Cast
    ids: dict[str, int] = field(default_factory=dict)

    @classmethod
    def make(cls, cast: Cast) -> "World":
        """Write one of each through the API itself."""
        made = cls(cast)
        contact = cast.contact("陈小满", phone="13812345678")
        with brand_scope(cast.brand.pk):
            key = made_id(cast.brand.pk, "identity", "unionid", "o-chen")
            Identity.objects.create(
                id=key, contact=contact, type="unionid", value="o-chen", first_seen_at=contact.created_at
            )
        made.ids = {"contact_id": contact.pk, "corp_id": cast.corp.pk, "staff_id": cast.bob.pk}
        made._contradict(contact.pk)
        made.ids["tag_id"] = made._made("tags", {"name": "果园·婴童"})
        made._done("post", f"tags/{made.ids['tag_id']}/give", {"contacts": [{"id": contact.pk}]})
        made.ids["segment_id"] = made._made("segments", {"name": "果园·沉默", "tree": {"all": []}})
        named = {"name": "果园·名单", "tree": {"all": []}}
        made.ids["static_id"] = int(made._done("post", "segments", named, key="static")["id"])
        made._done("put", f"segments/{made.ids['static_id']}/mode", {"mode": "static"})
        poster = {"file": SimpleUploadedFile("果园·海报.png", png(8, 6))}
        made.ids["media_id"] = int(cast.alice.upload(f"/{PREFIX}media", poster).json()["id"])
        made._knowledge()
        made.ids["content_id"] = made._made("contents", {"name": "果园·会员日", "text": "果园签到有礼"})
        variants = [{"content_id": made.ids["content_id"]}]
        body = {"name": "果园·推送", "segment_id": made.ids["segment_id"], "variants": variants}
        made.ids["push_id"] = made._made("pushes", body)
        made._done("put", "event-types", _own_type({}))
        made.ids["import_id"] = made._made("imports", {**_file(made.ids), "name": "果园·历史.csv"})
        made.ids["webhook_id"] = made._made("webhooks", {**_webhook(made.ids), "name": "果园·商城"})
        made._done("post", "points/grants", {"contact": {"unionid": "o-chen"}, "points": 50}, key="果园".encode().hex())
        rung = {"code": "gold", "name": "果园·金卡", "threshold": 90_000}
        made._done("put", "points/tiers", {**_tiers(made.ids), "tiers": [rung]})
        made._done("put", "points/tier/floor", _floor(made.ids))
        return made

    def _knowledge(self) -> None:
        """A group of tags, a rule that was previewed, a segment's shadow tag, stages."""
        self._done("post", "tags", {"name": "果园·新品", "group": "果园·分组"}, key="grouped")
        self.ids["rule_id"] = self._made("tag-rules", {**_rule(self.ids), "name": "果园·规则"})
        self.ids["run_id"] = self._made(f"tag-rules/{self.ids['rule_id']}/preview", {})
        rerun.run_to_end(brand_id=self.cast.brand.pk, run_id=self.ids["run_id"], now=timezone.now())
        shadow = {"corp_id": self.ids["corp_id"], "segment_id": self.ids["segment_id"]}
        self.ids["corp_tag_id"] = self._made("corp-tags", shadow)
        self._done("put", "lifecycle/stages", {"stages": [{"key": "all", "name": "果园·所有人", "tree": {"all": []}}]})

    def _contradict(self, contact_id: int) -> None:
        """Two more contacts: one that may be the first, one that was found to be the second."""
        second, third = self.cast.contact("果园·二"), self.cast.contact("果园·三")
        self.ids |= {"other_id": second.pk, "conflict_id": 77}
        with brand_scope(self.cast.brand.pk):
            IdentityConflict.objects.create(
                id=UUID(int=77), contact_id=contact_id, other=second, evidence={}, seen_at=second.created_at
            )
            wanted = [merging.Wanted(second.pk, third.pk)]
            [self.ids["merge_id"]] = merging.merge(wanted=wanted, at=second.created_at)

    def _made(self, path: str, body: dict[str, Any]) -> int:
        return int(self._done("post", path, body, key=path)["id"])

    def _done(self, method: str, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any]:
        answer = self.cast.alice.api(method, f"/{PREFIX}{path}", body, idempotency_key=key)
        assert answer.status_code < 300, answer.content.decode()
        return dict(answer.json())


@dataclass(frozen=True)
class Example:
    """How to call one URL. `body` and `query` are made from the ids they should name."""

    scope: str
    query: Callable[[dict[str, int]], str] = lambda _ids: ""
    body: Callable[[dict[str, int]], Any] | None = None
    file: Callable[[dict[str, int]], dict[str, Any]] | None = None
    """the fields of a form with a file, in place of a body"""


def _contact(ids: dict[str, int]) -> str:
    return f"?id={ids['contact_id']}"


def _movement(ids: dict[str, int]) -> dict[str, Any]:
    return {"contact": {"id": str(ids["contact_id"])}, "points": 5}


def _tiers(_ids: dict[str, int]) -> dict[str, Any]:
    return {"metric": "net_spend", "tiers": [{"code": "gold", "name": "新金卡", "threshold": 100_000}]}


def _floor(ids: dict[str, int]) -> dict[str, Any]:
    return {"contact": {"id": str(ids["contact_id"])}, "tier": "gold", "note": "果园·补偿"}


def _bulk(ids: dict[str, int]) -> dict[str, Any]:
    return {"contacts": [{"id": ids["contact_id"]}]}


def _segment(ids: dict[str, int]) -> dict[str, Any]:
    return {"name": "有标签", "tree": {"kind": "tag", "tag_id": ids["tag_id"]}}


def _everybody(_ids: dict[str, int]) -> dict[str, Any]:
    return {"name": "所有人", "tree": {"all": []}}


def _tree(ids: dict[str, int]) -> dict[str, Any]:
    return {"tree": _segment(ids)["tree"]}


def _said(_ids: dict[str, int]) -> dict[str, Any]:
    return {"name": "新内容", "text": "会员日"}


def _push(ids: dict[str, int]) -> dict[str, Any]:
    variants = [{"content_id": ids["content_id"]}]
    return {"name": "新推送", "segment_id": ids["segment_id"], "corp_id": ids["corp_id"], "variants": variants}


def _events(ids: dict[str, int]) -> dict[str, Any]:
    item = {
        "id": "0b9c7f5e-3d1a-4a52-8f0e-6a1c2d3e4f50",
        "type": "sign_in",
        "occurred_at": datetime.now(UTC).isoformat(),
        "contact_id": ids["contact_id"],
    }
    return {"events": [item]}


def _overlap(ids: dict[str, int]) -> dict[str, Any]:
    return {"segments": [ids["segment_id"], ids["static_id"]]}


def _by_hand(ids: dict[str, int]) -> dict[str, Any]:
    return {"add": [ids["contact_id"]]}


def _nothing(_ids: dict[str, int]) -> dict[str, Any]:
    return {}


def _webhook(_ids: dict[str, int]) -> dict[str, Any]:
    return {"name": "新推送地址", "url": "https://shop.example.com/orchard", "types": ["tag_given"]}


def _again(_ids: dict[str, int]) -> dict[str, Any]:
    return {"start": "2026-11-20T00:00:00+08:00", "end": "2026-11-21T00:00:00+08:00"}


def _file(_ids: dict[str, int]) -> dict[str, Any]:
    return {"name": "history.csv", "text": "phone,time\n13812345678,2026-11-01\n"}


def _picture(_ids: dict[str, int]) -> dict[str, Any]:
    return {"file": SimpleUploadedFile("海报.png", png(4, 3))}


def _columns(_ids: dict[str, int]) -> dict[str, Any]:
    return {"mapping": {"phone": "identity.phone", "time": "occurred_at"}, "options": {"type": "sign_in"}}


def _own_type(_ids: dict[str, int]) -> dict[str, Any]:
    return {"name": "x_scan", "label": "扫码", "props": {"shelf": {"type": "text"}}}


def _rule(ids: dict[str, int]) -> dict[str, Any]:
    return {"name": "看过", "tag_id": ids["tag_id"], "event_type": "product_view", "where": {"category": "婴童"}}


def _stages(ids: dict[str, int]) -> dict[str, Any]:
    return {"stages": [{"key": "tagged", "name": "有标签", "tree": {"kind": "tag", "tag_id": ids["tag_id"]}}]}


def _policy(_ids: dict[str, int]) -> dict[str, Any]:
    return {"half_life_days": 7, "weights": {"product_view": 1, "order_paid": 5}}


def _tied(ids: dict[str, int]) -> dict[str, Any]:
    return {"corp_id": ids["corp_id"], "tag_id": ids["tag_id"]}


CALLS: dict[Call, Example] = {
    ("POST", "events"): Example("events:write", body=_events),
    ("GET", "event-types"): Example("events:write"),
    ("PUT", "event-types"): Example("events:write", body=_own_type),
    ("DELETE", "event-types"): Example("events:write", lambda _ids: "?name=x_scan"),
    ("POST", "imports"): Example("events:write", body=_file),
    ("GET", "imports/<int:import_id>"): Example("events:write"),
    ("GET", "imports/<int:import_id>/errors"): Example("events:write"),
    ("POST", "imports/<int:import_id>/start"): Example("events:write", body=_columns),
    ("DELETE", "imports/<int:import_id>"): Example("events:write"),
    ("GET", "contacts"): Example("contacts:read"),
    ("GET", "contacts/lookup"): Example("contacts:read", lambda _ids: "?unionid=o-chen"),
    ("GET", "contacts/<int:contact_id>"): Example("contacts:read"),
    ("GET", "contacts/<int:contact_id>/identity-graph"): Example("contacts:read"),
    ("POST", "contacts/<int:contact_id>/merge"): Example(
        "contacts:write", body=lambda ids: {"loser_id": ids["other_id"], "reason": "同一个人"}
    ),
    ("GET", "contacts/<int:contact_id>/export"): Example("contacts:personal_data"),
    ("POST", "contacts/<int:contact_id>/erase"): Example(
        "contacts:personal_data", body=lambda _ids: {"typed_name": "陈小满", "reason": "本人要求"}
    ),
    ("GET", "oneid/summary"): Example("contacts:read"),
    ("POST", "oneid/links"): Example("contacts:write", body=lambda _ids: {"identities": [{"unionid": "o-chen"}]}),
    ("POST", "oneid/merges/<int:merge_id>/split"): Example("contacts:write", body=lambda _ids: {"reason": "两个人"}),
    ("GET", "oneid/conflicts"): Example("contacts:read"),
    ("POST", "oneid/conflicts/<uuid:conflict_id>/merge"): Example(
        "contacts:write", body=lambda ids: {"survivor_id": ids["contact_id"], "reason": "同一个人"}
    ),
    ("POST", "oneid/conflicts/<uuid:conflict_id>/keep-apart"): Example(
        "contacts:write", body=lambda _ids: {"reason": "两个人"}
    ),
    ("GET", "tags"): Example("tags:read"),
    ("POST", "tags"): Example("tags:write", body=lambda _ids: {"name": "新标签"}),
    ("GET", "tags/<int:tag_id>"): Example("tags:read"),
    ("PUT", "tags/<int:tag_id>"): Example("tags:write", body=lambda _ids: {"rank": 3}),
    ("GET", "tag-groups"): Example("tags:read"),
    ("PUT", "tag-groups"): Example("tags:write", body=lambda _ids: {"name": "果园·分组", "exclusive": "latest"}),
    ("GET", "tag-rules"): Example("tags:read"),
    ("POST", "tag-rules"): Example("tags:write", body=_rule),
    ("GET", "tag-rules/<int:rule_id>"): Example("tags:read"),
    ("PUT", "tag-rules/<int:rule_id>"): Example("tags:write", body=_rule),
    ("DELETE", "tag-rules/<int:rule_id>"): Example("tags:write"),
    ("POST", "tag-rules/<int:rule_id>/preview"): Example("tags:write", body=_nothing),
    ("POST", "tag-rules/<int:rule_id>/apply"): Example("tags:write", body=_nothing),
    ("GET", "tag-runs"): Example("tags:read"),
    ("GET", "tag-runs/<int:run_id>"): Example("tags:read"),
    ("GET", "corp-tags"): Example("tags:read"),
    ("POST", "corp-tags"): Example("tags:write", body=_tied),
    ("GET", "corp-tags/<int:corp_tag_id>"): Example("tags:read"),
    ("DELETE", "corp-tags/<int:corp_tag_id>"): Example("tags:write"),
    ("GET", "corp-tags/libraries"): Example("tags:read"),
    ("GET", "corp-tags/libraries/<int:corp_id>"): Example("tags:read"),
    ("PUT", "corp-tags/libraries/<int:corp_id>"): Example("tags:write", body=lambda _ids: {"is_on": False}),
    ("POST", "corp-tags/libraries/<int:corp_id>/round"): Example("tags:write"),
    ("GET", "interests/policy"): Example("tags:read"),
    ("PUT", "interests/policy"): Example("tags:write", body=_policy),
    ("POST", "interests/recompute"): Example("tags:write", body=_nothing),
    ("GET", "lifecycle/stages"): Example("segments:read"),
    ("PUT", "lifecycle/stages"): Example("segments:write", body=_stages),
    ("GET", "lifecycle/defaults"): Example("segments:read"),
    ("GET", "lifecycle/matrix"): Example("segments:read"),
    ("GET", "churn"): Example("contacts:read"),
    ("GET", "contacts/<int:contact_id>/tags"): Example("tags:read"),
    ("GET", "contacts/<int:contact_id>/interests"): Example("contacts:read"),
    ("GET", "contacts/<int:contact_id>/lifecycle"): Example("contacts:read"),
    ("POST", "tags/<int:tag_id>/give"): Example("tags:write", body=_bulk),
    ("POST", "tags/<int:tag_id>/take"): Example("tags:write", body=_bulk),
    ("GET", "segments"): Example("segments:read"),
    ("POST", "segments"): Example("segments:write", body=_segment),
    ("GET", "segments/catalogue"): Example("segments:read"),
    ("GET", "segments/templates"): Example("segments:read"),
    ("POST", "segments/templates"): Example("segments:read", body=lambda _ids: {"key": "silent"}),
    ("POST", "segments/count"): Example("segments:read", body=_tree),
    ("POST", "segments/estimate"): Example("segments:read", body=_tree),
    ("POST", "segments/overlap"): Example("segments:read", body=_overlap),
    ("GET", "segments/<int:segment_id>/mode"): Example("segments:read"),
    ("PUT", "segments/<int:segment_id>/mode"): Example("segments:write", body=lambda _ids: {"mode": "dynamic"}),
    ("GET", "segments/<int:segment_id>/members"): Example("segments:read"),
    ("POST", "segments/<int:segment_id>/members"): Example("segments:write", body=_by_hand),
    ("GET", "segments/<int:segment_id>/history"): Example("segments:read"),
    ("GET", "segments/<int:segment_id>"): Example("segments:read"),
    ("PUT", "segments/<int:segment_id>"): Example("segments:write", body=_everybody),
    ("DELETE", "segments/<int:segment_id>"): Example("segments:write"),
    ("GET", "segments/<int:segment_id>/explain"): Example(
        "segments:read", lambda ids: f"?contact_id={ids['contact_id']}"
    ),
    ("GET", "points/balance"): Example("points:read", _contact),
    ("GET", "points/entries"): Example("points:read", _contact),
    ("POST", "points/grants"): Example("points:write", body=_movement),
    ("POST", "points/spends"): Example("points:write", body=_movement),
    ("GET", "points/tiers"): Example("points:read"),
    ("PUT", "points/tiers"): Example("points:write", body=_tiers),
    ("GET", "points/tier"): Example("points:read", _contact),
    ("GET", "points/tier/history"): Example("points:read", _contact),
    ("PUT", "points/tier/floor"): Example("points:write", body=_floor),
    ("DELETE", "points/tier/floor"): Example("points:write", _contact),
    ("GET", "media"): Example("pushes:read"),
    ("POST", "media"): Example("pushes:write", file=_picture),
    ("GET", "media/<int:media_id>"): Example("pushes:read"),
    ("DELETE", "media/<int:media_id>"): Example("pushes:write"),
    ("GET", "media/<int:media_id>/file"): Example("pushes:read"),
    ("GET", "contents"): Example("pushes:read"),
    ("POST", "contents"): Example("pushes:write", body=_said),
    ("GET", "contents/<int:content_id>"): Example("pushes:read"),
    ("PUT", "contents/<int:content_id>"): Example("pushes:write", body=_said),
    ("GET", "pushes"): Example("pushes:read"),
    ("POST", "pushes"): Example("pushes:write", body=_push),
    ("GET", "pushes/<int:push_id>"): Example("pushes:read"),
    ("PUT", "pushes/<int:push_id>"): Example("pushes:write", body=_push),
    ("POST", "pushes/<int:push_id>/dry-run"): Example("pushes:read"),
    ("POST", "pushes/<int:push_id>/send"): Example("pushes:write", body=_nothing),
    ("POST", "pushes/<int:push_id>/recall"): Example("pushes:write"),
    ("POST", "pushes/<int:push_id>/cancel"): Example("pushes:write"),
    ("GET", "pushes/<int:push_id>/deliveries"): Example("pushes:read"),
    ("GET", "webhooks"): Example("webhooks:read"),
    ("POST", "webhooks"): Example("webhooks:write", body=_webhook),
    ("GET", "webhooks/<int:webhook_id>"): Example("webhooks:read"),
    ("PUT", "webhooks/<int:webhook_id>"): Example("webhooks:write", body=_webhook),
    ("DELETE", "webhooks/<int:webhook_id>"): Example("webhooks:write"),
    ("POST", "webhooks/<int:webhook_id>/secret"): Example("webhooks:write"),
    ("GET", "webhooks/<int:webhook_id>/deliveries"): Example("webhooks:read"),
    ("POST", "webhooks/<int:webhook_id>/replay"): Example("webhooks:write", body=_again),
}


def urls() -> Iterator[tuple[str, type]]:
    """(route, view class) of everything under /api/v1/."""
    for top in get_resolver().url_patterns:
        if isinstance(top, URLResolver) and str(top.pattern) == PREFIX:
            for each in top.url_patterns:
                assert isinstance(each, URLPattern), "a URLconf inside a URLconf: teach this walk to go down"
                yield str(each.pattern), each.callback.view_class  # type: ignore[attr-defined]


def implemented() -> set[Call]:
    """Every method of every URL."""
    methods = ("get", "post", "put", "patch", "delete")
    return {(name.upper(), route) for route, view in urls() for name in methods if hasattr(view, name)}


def path_of(route: str, ids: dict[str, int]) -> str:
    """The URL with ids in their places."""
    if route == "segments/<int:segment_id>/members":
        ids = {**ids, "segment_id": ids["static_id"]}  # whose members are taken by hand
    for name, number in ids.items():
        route = route.replace(f"<int:{name}>", str(number)).replace(f"<uuid:{name}>", str(UUID(int=number)))
    assert "<" not in route, f"{route}: give World.make a row for it"
    return f"/{PREFIX}{route}"


def send(person: Any, call: Call, ids: dict[str, int], *, key: str = "walk", **headers: str) -> Any:
    """Make the call with these ids in its path, query and body."""
    method, route = call
    example = CALLS[call]
    path = path_of(route, ids) + example.query(ids)
    if example.file:
        return person.upload(path, example.file(ids), **headers)
    body = example.body(ids) if example.body else None
    return person.api(method, path, body, idempotency_key=key, **headers)


def rows_of(brand_id: int) -> dict[str, str]:
    """A fingerprint of every tenant table's rows of the brand."""
    tables = sorted(model._meta.db_table for model in apps.get_models() if issubclass(model, TenantModel))
    prints = " UNION ALL ".join(
        f"SELECT '{table}', md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM {table} t" for table in tables
    )
    with brand_scope(brand_id), connection.cursor() as cursor:
        cursor.execute(prints)
        return dict(cursor.fetchall())

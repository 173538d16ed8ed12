"""Tags on both sides: ours go to WeCom, guides' come to us, and a segment's shadow follows its members."""

from bench.soak.telling import Telling
from contacts.models import Follow
from tagging import tags
from tagging.corp import corp_tags, marking
from tagging.models import CorpTag
from tagging.segments import segments
from tenants.actors import SYSTEM

OURS, GROUP, SHADOWED = "热心", "态度", "热心的人"
GIVEN = 12
UNMADE = (CorpTag.State.WANTED, CorpTag.State.ADDING)


def begin(telling: Telling) -> None:
    """The corp's tags are taken over; one of ours stands in WeCom, too, and a segment has its shadow there."""
    at, corp_id = telling.at, telling.corp.pk
    with telling.scope():
        corp_tags.set_library(corp_id=corp_id, is_on=True, imports_new=True, actor=SYSTEM, at=at)
        tag = tags.create(name=OURS, group=GROUP, actor=SYSTEM, at=at)
        corp_tags.link(corp_id=corp_id, tag_id=tag.pk, actor=SYSTEM, at=at)
        segment = segments.save(name=SHADOWED, tree={"kind": "tag", "tag_id": tag.pk}, actor=SYSTEM, at=at)
        corp_tags.shadow(corp_id=corp_id, segment_id=segment.pk, actor=SYSTEM, at=at)
        friends = Follow.objects.filter(staff__corp=telling.corp, lost_at=None).order_by("external_userid")
        chosen = [*dict.fromkeys(friends.values_list("contact_id", flat=True))][:GIVEN]
        tags.give(tag_id=tag.pk, contact_ids=chosen, actor=SYSTEM, at=at)
    agree(telling)


def agree(telling: Telling) -> None:
    """Rounds until one goes through, and no tag waits to be made in WeCom."""

    def once() -> bool:
        marking.run_round(brand_id=telling.brand.pk, corp_id=telling.corp.pk, wecom=telling.wecom, at=telling.at)
        with telling.scope():
            return not CorpTag.objects.filter(corp=telling.corp, state__in=UNMADE).exists()

    telling.until_done(once)


def guides_mark(telling: Telling) -> None:
    """Guides give our tag to customers of theirs, and take it from others."""
    with telling.scope():
        wecom_id = CorpTag.objects.get(corp=telling.corp, name=OURS).wecom_id
    carries = {
        (follow["userid"], person["external_userid"]): wecom_id in follow["tags"]
        for person in telling.people()
        for follow in person["follows"]
        if not follow["deleted_by_customer"]
    }
    for mark, pairs in (
        ("remove_tag", sorted(pair for pair, has in carries.items() if has)[:3]),
        ("add_tag", sorted(pair for pair, has in carries.items() if not has)[-4:]),
    ):
        for userid, external in pairs:
            telling.act("edit", userid=userid, external_userid=external, **{mark: [wecom_id]})
    telling.heard()

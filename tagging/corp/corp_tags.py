"""WeCom's tags and ours, kept the same: the library. Who carries them is `tagging.corp.marking`'s business.

Each side is compared with what WeCom last told us. What changed on one side is changed on the other; what changed on
both is as WeCom has it. A tag that WeCom deletes is no longer tied to ours, and ours stays with its contacts: a slip in
WeCom's console must not empty a tag here. Creating is not idempotent: the row says that WeCom is being asked before it
is, and after an unclear end the tag is looked for by its name, which is unique in its group."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from scrm.lib.errors import Conflict, found
from tagging.models import CorpTag, CorpTagMark, Segment, Tag, TagLibrary
from tenants import audit
from tenants.actors import Actor
from tenants.scope import brand_scope
from wecom import inbox
from wecom.client import WeComClient
from wecom.errors import Gone, OutcomeUnknown, WeComError
from wecom.inbox import CallbackEvent
from wecom.models import Corp
from wecom.reconcile import Doubt, Verdict, conclude

logger = logging.getLogger(__name__)

State = CorpTag.State
SHADOWS = "Orchard 人群"
"""the group of tags that stand for segments"""
OWN_GROUPS = (SHADOWS, "Orchard 朋友圈")
"""groups of the house's own making: never imported as tags"""
MAX_NAME = 30
Listed = Mapping[str, Any]


def set_library(*, corp_id: int, is_on: bool, imports_new: bool, actor: Actor, at: datetime) -> TagLibrary:
    """Turn a corp's tag sync on or off. Scoped; audited. Raises NotFound for the corp."""
    corp = found(Corp.objects.filter(pk=corp_id))
    library, _made = TagLibrary.objects.update_or_create(
        corp=corp, defaults={"is_on": is_on, "imports_new": imports_new, "due_at": at if is_on else None}
    )
    audit.record(
        actor=actor,
        action="tag_library.save",
        object_type="tag_library",
        object_id=library.pk,
        after={"corp": corp.corpid, "is_on": is_on, "imports_new": imports_new},
        at=at,
    )
    return library


def begin_round(*, corp_id: int, actor: Actor, at: datetime) -> TagLibrary:
    """Compare the two sides out of turn, WeCom's list included. Scoped; audited. A round under way goes on.

    Raises NotFound for the corp, Conflict `tagging.sync_off`."""
    corp = found(Corp.objects.filter(pk=corp_id))
    library = TagLibrary.objects.filter(corp=corp, is_on=True).select_for_update(of=("self",)).first()
    if library is None:
        raise Conflict(_("这个企业的标签同步没有开启。"), remedy=_("先开启同步。"), code="tagging.sync_off")
    library.due_at, library.read_at = at, None
    library.save(update_fields=["due_at", "read_at"])
    audit.record(
        actor=actor,
        action="tag_library.round",
        object_type="tag_library",
        object_id=library.pk,
        after={"corp": corp.corpid},
        at=at,
    )
    return library


def linked(corp_id: int) -> int:
    """How many of the corp's tags stand for a tag or a segment. Scoped."""
    rows = CorpTag.objects.filter(corp_id=corp_id).exclude(state=State.GONE)
    return rows.exclude(tag=None, segment=None).count()


def link(*, corp_id: int, tag_id: int, actor: Actor, at: datetime) -> CorpTag:
    """Have a tag of ours in WeCom too: tied to the corp's tag of that group and name, made if need be. Scoped; audited.

    Raises NotFound, Conflict `tagging.linked_already`."""
    corp, tag = found(Corp.objects.filter(pk=corp_id)), found(Tag.objects.filter(pk=tag_id))
    if CorpTag.objects.filter(corp=corp, tag=tag).exists():
        raise Conflict(_("这个标签已经和企业标签对应。"), remedy=_("不用再做什么。"), code="tagging.linked_already")
    group = tag.group or _("未分组")
    known = CorpTag.objects.filter(corp=corp, state=State.KNOWN, group=group, name=tag.name, tag=None).first()
    if known is not None:
        known.tag, known.state = tag, State.LINKED
        known.save()
    else:
        known = CorpTag.objects.create(corp=corp, tag=tag, group=group, name=tag.name, state=State.WANTED)
    _hurry(corp, actor, "corp_tag.link", known, {"tag": str(tag)}, at=at)
    return known


def shadow(*, corp_id: int, segment_id: int, actor: Actor, at: datetime) -> CorpTag:
    """Keep a tag in WeCom on the members of a segment, each at their main guide: Moments are aimed by it. Scoped.

    Audited. Raises NotFound, Conflict `tagging.linked_already`."""
    corp = found(Corp.objects.filter(pk=corp_id))
    segment = found(Segment.objects.filter(pk=segment_id, archived_at=None))
    if CorpTag.objects.filter(corp=corp, segment=segment).exclude(state=State.GONE).exists():
        raise Conflict(_("这个人群已有影子标签。"), remedy=_("不用再做什么。"), code="tagging.linked_already")
    name = f"{segment.name[: MAX_NAME - 9]}#{segment.pk}"
    made = CorpTag.objects.create(corp=corp, segment=segment, group=SHADOWS, name=name, state=State.WANTED)
    _hurry(corp, actor, "corp_tag.shadow", made, {"segment": segment.name}, at=at)
    return made


def unlink(*, corp_tag_id: int, actor: Actor, at: datetime) -> None:
    """Keep the two sides the same no longer; both keep what they have. Scoped; audited. Raises NotFound."""
    row = found(CorpTag.objects.select_related("corp").filter(pk=corp_tag_id))
    CorpTagMark.objects.filter(corp_tag=row).delete()
    row.tag, row.segment = None, None
    row.state = State.KNOWN if row.wecom_id else State.GONE
    row.save()
    _hurry(row.corp, actor, "corp_tag.unlink", row, {"name": row.name}, at=at)


def sync_library(*, brand_id: int, corp_id: int, wecom: WeComClient, at: datetime) -> None:
    """Compare the libraries, then rename and create in WeCom what is new here. Opens its own scopes. Raises WeComError
    if WeCom's list can't be read; a single tag's trouble is noted with the tag."""
    listed = {
        tag.id: {"group_id": group.id, "group": group.name, "name": tag.name}
        for group in wecom.corp_tags()
        if not group.deleted
        for tag in group.tags
        if not tag.deleted
    }
    with brand_scope(brand_id):
        library = TagLibrary.objects.select_related("corp").get(corp_id=corp_id)
        renames = _take_over(library, listed, at=at)
        TagLibrary.objects.filter(pk=library.pk).update(read_at=at, problem="")
        wanted = list(CorpTag.objects.filter(corp_id=corp_id, state=State.WANTED).order_by("id"))
    for row in renames:
        _rename(row, wecom)
    for row in wanted:
        _create(row, wecom, at=at)


def on_tag_event(event: CallbackEvent) -> None:
    """WeCom says that its tags changed: they are read soon. Opens its own scope; a repeat is harmless."""
    with brand_scope(event.brand_id):
        due = TagLibrary.objects.filter(corp_id=event.corp_id, is_on=True)
        due.update(due_at=event.received_at, read_at=None)


def register_own() -> None:
    """Called when the app starts."""
    inbox.register("change_external_tag", on_tag_event)


def _take_over(library: TagLibrary, listed: Mapping[str, Listed], *, at: datetime) -> list[CorpTag]:
    """What WeCom's list means for us; returns rows that are to be renamed in WeCom. Scoped."""
    rows = {row.wecom_id: row for row in CorpTag.objects.filter(corp=library.corp).select_related("tag")}
    waiting = CorpTag.objects.filter(corp=library.corp, wecom_id="", state__in=(State.WANTED, State.ADDING))
    by_name = {(row.group, row.name): row for row in waiting}
    renames = []
    for wecom_id, told in listed.items():
        row = rows.get(wecom_id)
        if row is None:
            row = by_name.pop((told["group"], told["name"]), None)
            if row is not None:
                _linked(row, wecom_id, told["group_id"])
            else:
                _import(library, wecom_id, told, at=at)
        elif (told["group"], told["name"]) != (row.group, row.name):
            _renamed_there(row, told)
        elif row.tag is not None and row.tag.name != row.name and not row.problem:
            renames.append(row)
    for row in by_name.values():
        _not_listed(row, at=at)
    for wecom_id, row in rows.items():
        if wecom_id and wecom_id not in listed and row.state != State.GONE:
            _gone(row)
    return renames


def _import(library: TagLibrary, wecom_id: str, told: Listed, *, at: datetime) -> None:
    row = CorpTag(corp=library.corp, wecom_id=wecom_id, state=State.KNOWN, **told)
    if library.imports_new and told["group"] not in OWN_GROUPS:
        tag, _made = Tag.objects.get_or_create(
            group=told["group"][:MAX_NAME], name=told["name"][:MAX_NAME], defaults={"created_at": at}
        )
        if not CorpTag.objects.filter(corp=library.corp, tag=tag).exists():
            row.tag, row.state = tag, State.LINKED
    row.save()


def _linked(row: CorpTag, wecom_id: str, group_id: str) -> None:
    row.wecom_id, row.group_id, row.state, row.asked_at, row.problem = wecom_id, group_id, State.LINKED, None, ""
    row.save()


def _renamed_there(row: CorpTag, told: Listed) -> None:
    """WeCom's name is taken over, unless another tag of ours has it."""
    row.group_id, row.group, row.name, row.problem = told["group_id"], told["group"], told["name"], ""
    if row.tag is not None:
        group, name = told["group"][:MAX_NAME], told["name"][:MAX_NAME]
        if Tag.objects.filter(group=group, name=name).exclude(pk=row.tag.pk).exists():
            row.problem = _("企业微信里改名为“%(name)s”，但已有同名标签，没有跟着改。") % {"name": name}
        else:
            Tag.objects.filter(pk=row.tag.pk).update(group=group, name=name)
    row.save()


def _not_listed(row: CorpTag, *, at: datetime) -> None:
    """One that WeCom was asked to make and does not list: it is asked again only when it surely was not made."""
    if row.state != State.ADDING or row.asked_at is None:
        return
    verdict, doubt = conclude(Doubt(row.asked_at, row.listings), is_made=False, at=at)
    row.listings = doubt.listings
    if verdict is Verdict.NOT_MADE:
        row.state, row.asked_at, row.listings = State.WANTED, None, 0
    row.save()


def _gone(row: CorpTag) -> None:
    CorpTagMark.objects.filter(corp_tag=row).delete()
    if row.segment_id is not None:
        # A segment's tag is the house's own: it is made again.
        row.wecom_id, row.state = "", State.WANTED
    else:
        row.tag, row.state = None, State.GONE
    row.save()


def _rename(row: CorpTag, wecom: WeComClient) -> None:
    assert row.tag is not None  # noqa: S101 - `_take_over` sees to it
    problem = ""
    try:
        wecom.update_corp_tag(tag_id=row.wecom_id, name=row.tag.name)
    except WeComError as error:
        problem = str(error.detail)[:300]
        logger.warning("tagging.corp_tag.rename_refused", extra={"corp_tag": row.pk, "code": error.problem_code})
    with brand_scope(row.brand_id):
        if problem:
            CorpTag.objects.filter(pk=row.pk).update(problem=problem)
        else:
            CorpTag.objects.filter(pk=row.pk).update(name=row.tag.name)


def _create(row: CorpTag, wecom: WeComClient, *, at: datetime) -> None:
    with brand_scope(row.brand_id):
        mine = CorpTag.objects.filter(pk=row.pk, state=State.WANTED).update(state=State.ADDING, asked_at=at, listings=0)
    if not mine:
        return
    try:
        (made,) = wecom.add_corp_tag(group=row.group, names=[row.name])
    except OutcomeUnknown:
        return  # the row says so; the next list tells
    except Gone:
        return  # there is one of the name since the list was read: the next list ties it
    except WeComError as error:
        with brand_scope(row.brand_id):
            CorpTag.objects.filter(pk=row.pk).update(state=State.WANTED, asked_at=None, problem=str(error.detail)[:300])
        return
    with brand_scope(row.brand_id):
        _linked(CorpTag.objects.get(pk=row.pk), made.id, made.group_id)


def _hurry(corp: Corp, actor: Actor, action: str, row: CorpTag, after: dict[str, Any], *, at: datetime) -> None:
    TagLibrary.objects.get_or_create(corp=corp, defaults={"is_on": True})
    TagLibrary.objects.filter(corp=corp).update(due_at=at, read_at=None, is_on=True)
    audit.record(actor=actor, action=action, object_type="corp_tag", object_id=row.pk, after=after, at=at)


def shown(corp_id: int) -> Sequence[CorpTag]:
    """The corp's tags with what they stand for. Scoped."""
    return list(
        CorpTag.objects.filter(corp_id=corp_id).select_related("tag", "segment").order_by("group", "name")[:1000]
    )

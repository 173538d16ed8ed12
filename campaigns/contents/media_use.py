"""Which kept files outreach uses: they do not go while it does, and those needed soon have a copy in WeCom ahead."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from campaigns.contents import attached
from campaigns.models import Channel, Content, ContentMedia, Push, Variant, Welcome
from media import keeping, wanted
from media.copies import LIVES
from media.models import Kept
from media.wanted import Wanted
from wecom.models import Corp

LOOKED_AT = 500
"""contents with media_ids of their own, the latest, among which one is looked for"""
SOON = timedelta(days=1)
"""how long before a scheduled push its files go to WeCom"""


def register_own() -> None:
    """Called when the app starts."""
    wanted.register("campaigns", _wanted)


def note(*, content: Content, at: datetime) -> None:
    """Keep account of the files that a content names, after it was written. Scoped."""
    names = keeping.use(ids=attached.named(content.attachments))
    rows = ContentMedia.objects.filter(content=content)
    had = set(rows.values_list("media_id", flat=True))
    ContentMedia.objects.bulk_create(
        ContentMedia(brand_id=content.brand_id, content_id=content.pk, media_id=each) for each in names - had
    )
    rows.filter(media__in=had - names).delete()
    let_go(ids=had - names, at=at)


def let_go(*, ids: Collection[int], at: datetime) -> None:
    """Somebody shows these files no more: those that nobody else shows are unused from now on. Scoped."""
    still = {
        *ContentMedia.objects.filter(media__in=ids).values_list("media_id", flat=True),
        *Welcome.objects.filter(media__in=ids).values_list("media_id", flat=True),
    }
    keeping.release(ids=set(ids) - still, at=at)


def used_in(*, media_ids: Collection[int]) -> dict[int, int]:
    """How many contents and welcomes show each of these files. Scoped."""
    used: dict[int, int] = {}
    for rows in (ContentMedia.objects.filter(media__in=media_ids), Welcome.objects.filter(media__in=media_ids)):
        for media_id in rows.values_list("media_id", flat=True):
            used[media_id] = used.get(media_id, 0) + 1
    return used


def shown_by(attachments: Sequence[Any]) -> list[Kept]:
    """The kept files among attachments, in their order. Scoped."""
    known = keeping.by_ids(attached.named(attachments))
    in_order = (attached.named([item]) for item in attachments)
    return [known[number] for numbers in in_order for number in numbers if number in known]


def ends_at(*, before: Content | None, attachments: Sequence[Any], at: datetime) -> datetime | None:
    """When WeCom forgets the first of the media_ids that the attachments name themselves, at the latest.

    Nobody knows when they were uploaded, but it was before they were first written here, in this content (`before`: as
    it was) or in another that it was copied from. Scoped."""
    ids = attached.bare(attachments)
    if not ids:
        return None
    others = Content.objects.exclude(media_ends_at=None).order_by("-pk")[:LOOKED_AT]
    same = [media_ends(row) for row in (before, *others) if row is not None and ids & attached.bare(row.attachments)]
    return min((end for end in same if end is not None), default=at + LIVES)


def media_ends(content: Content) -> datetime | None:
    """The same of a saved content; one from before this was written down counts from its making."""
    if not attached.bare(content.attachments):
        return None
    return content.media_ends_at or content.created_at + LIVES


def _wanted() -> Iterator[Wanted]:
    """The files of welcomes, and of pushes that leave within a day or are leaving. Scoped."""
    said = [*_in_welcomes(), *_in_pushes()]
    known = keeping.by_ids({number for _corp, _channel, items in said for number in attached.named(items)})
    for corp_id, channel, items in said:
        for need in attached.needs(items, channel, known):
            yield Wanted(corp_id, need)


def _in_welcomes() -> Iterator[tuple[int, str, list[Any]]]:
    for welcome in Welcome.objects.filter(is_on=True).select_related("content", "media"):
        yield welcome.corp_id, Channel.SINGLE, welcome_attachments(welcome)


def _in_pushes() -> Iterator[tuple[int, str, list[Any]]]:
    soon = Q(push__status=Push.Status.SCHEDULED, push__scheduled_at__lt=timezone.now() + SOON)
    under_way = Q(push__status__in=[Push.Status.PLANNING, Push.Status.SENDING])
    with_media = ContentMedia.objects.values("content_id")
    rows = Variant.objects.filter(soon | under_way, content__in=with_media).select_related("push", "content")
    corps = list(Corp.objects.order_by("pk").values_list("pk", flat=True)[:2])
    for variant in rows:
        corp_id = variant.push.corp_id or (corps[0] if len(corps) == 1 else None)
        if corp_id is not None:
            yield corp_id, variant.push.channel, variant.content.attachments


def welcome_attachments(welcome: Welcome) -> list[dict[str, Any]]:
    """What goes with the text of a welcome. Scoped, unless its content and media are loaded."""
    if welcome.content is not None:
        return list(welcome.content.attachments)
    if welcome.media is None:
        return []
    return [{"msgtype": welcome.media.kind, welcome.media.kind: {attached.MEDIA: welcome.media.pk}}]

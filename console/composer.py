"""The push composer: its form on one side, drafts and contents on the other. What may be sent, campaigns says."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.contents import attached, contents, media_use
from campaigns.models import Channel, Push, Variant
from campaigns.pushes import pushes
from console.numbers import whole
from media import keeping
from media.models import Kept, Kind
from scrm.lib.errors import FieldError, Invalid
from tagging.models import Segment, Tag
from tagging.segments import segments
from tenants.actors import Actor
from wecom.models import Corp

MOST_VARIANTS = 6
MOST_NUMBER = 9999
"""of a variant in the form: numbers of removed ones are not used again"""
FIELDS = {
    "link": ("title", "desc", "url", "picurl", "media"),
    "miniprogram": ("title", "appid", "page", "pic_media_id", "media"),
    "image": ("pic_url", "media_id", "media"),
    "video": ("media_id", "media"),
    "file": ("media_id", "media"),
}
SHOWN_AS = {
    "segment_id": "segment",
    "corp_id": "corp",
    "holdout_percent": "holdout",
    "max_recipients": "most",
    "scheduled_at": "scheduled",
}
"""fields of the form by their names in campaigns"""
MOST_KEPT = 100
"""files of a kind to choose from, the latest"""
KEEP, EVERYBODY = "keep", ""


@dataclass(slots=True)
class VariantForm:
    """One variant as the form shows it. `aim`: empty, `tag:7`, `segment:3`, or keep for a condition made elsewhere."""

    number: int
    content_id: int | None = None
    aim: str = EVERYBODY
    aim_words: str = ""
    text: str = ""
    attachment: str = "none"
    attached: dict[str, str] = field(default_factory=dict)
    others: list[Any] = field(default_factory=list)
    """attachments that the form has no fields for; they are kept"""
    condition: Any = None
    errors: list[str] = field(default_factory=list)
    kept: dict[str, Kept] = field(default_factory=dict)
    """the kept file that is shown, under the kind of its attachment"""
    ends: datetime | None = None
    """when WeCom forgets a media_id that the saved content names itself, at the latest"""

    @property
    def number_text(self) -> str:
        """The number for names of fields."""
        return str(self.number)


@dataclass(slots=True)
class PushForm:
    """The composer's fields, as text."""

    name: str = ""
    channel: str = Channel.SINGLE
    segment: str = ""
    corp: str = ""
    holdout: str = "0"
    most: str = ""
    priority: str = "50"
    scheduled: str = ""
    variants: list[VariantForm] = field(default_factory=lambda: [VariantForm(1)])
    errors: dict[str, str] = field(default_factory=dict)


def form_of(push: Push, *, zone: str) -> PushForm:
    """The form of a saved draft. Scoped."""
    at = push.scheduled_at
    rows = Variant.objects.filter(push=push).select_related("content").order_by("position")
    return PushForm(
        name=push.name,
        channel=push.channel,
        segment=str(push.segment_id or ""),
        corp=str(push.corp_id or ""),
        holdout=str(push.holdout_percent),
        most=str(push.max_recipients or ""),
        priority=str(push.priority),
        scheduled=at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M") if at else "",
        variants=[_variant_form(number, row) for number, row in enumerate(rows, start=1)] or [VariantForm(1)],
    )


def read(data: QueryDict, push: Push | None) -> PushForm:
    """The submitted form. Contents are only ever those of the push itself. Scoped."""
    own = {row.content_id: row for row in Variant.objects.filter(push=push)} if push else {}
    numbered = {whole(key[1:].split(".")[0], most=MOST_NUMBER) for key in data if key[:1] == "v"}
    numbers = sorted(number for number in numbered if number is not None)
    form = PushForm(variants=[])
    for name in ("name", "channel", "segment", "corp", "holdout", "most", "priority", "scheduled"):
        setattr(form, name, data.get(name, "").strip())
    for number in numbers[:MOST_VARIANTS]:
        values = {key.partition(".")[2]: data.get(key, "") for key in data if key.startswith(f"v{number}.")}
        content_id = whole(values.get("content"))
        row = own.get(content_id) if content_id is not None else None
        made = VariantForm(number, row.content_id if row else None, values.get("aim", ""), text=values.get("text", ""))
        made.attachment = values.get("attachment", "none")
        made.attached = {
            name: values.get(f"{made.attachment}.{name}", "").strip() for name in FIELDS.get(made.attachment, ())
        }
        if row:
            made.others = _split(row.content.attachments)[2]
            made.condition = row.condition
            made.ends = media_use.media_ends(row.content)
        form.variants.append(made)
    form.variants = form.variants or [VariantForm(1)]
    return form


def save(*, form: PushForm, push: Push | None, zone: str, actor: Actor, at: datetime) -> Push:
    """Write contents and draft, all or nothing. Scoped. Raises Conflict, or Invalid (also put on the form's fields)."""
    with transaction.atomic():
        wrong: list[FieldError] = []
        drafts = []
        for index, variant in enumerate(form.variants):
            try:
                drafts.append(_save_variant(form, variant, index, actor, at))
            except Invalid as refusal:
                variant.errors = [f"{error.message} {error.remedy}".strip() for error in refusal.errors]
                wrong += refusal.errors
        draft = pushes.Draft(
            name=form.name,
            channel=form.channel,
            variants=drafts,
            segment_id=whole(form.segment),
            corp_id=whole(form.corp),
            priority=_whole(form, "priority", 50, wrong),
            holdout_percent=_whole(form, "holdout", 0, wrong),
            max_recipients=_whole(form, "most", None, wrong),
            scheduled_at=_moment(form, zone, wrong),
        )
        if wrong:
            raise Invalid(_("推送没有保存。"), errors=wrong)
        try:
            if push is None:
                return pushes.create(draft=draft, actor=actor, at=at)
            return pushes.edit(push_id=push.pk, draft=draft, actor=actor, at=at)
        except Invalid as refusal:
            for error in refusal.errors:
                _mark(form, error)
            raise


def _mark(form: PushForm, error: FieldError) -> None:
    """Put a refusal on the field that shows it."""
    said = f"{error.message} {error.remedy}".strip()
    of, _dot, place = error.field.partition(".")
    number = whole(place.partition(".")[0])
    if of == "variants" and number is not None and number < len(form.variants):
        form.variants[number].errors.append(said)
    else:
        form.errors[SHOWN_AS.get(error.field, error.field)] = said


def choices() -> dict[str, Any]:
    """What the form offers. Scoped."""
    return {
        "segments": Segment.objects.filter(archived_at=None).order_by("-updated_at")[:500],
        "tags": Tag.objects.order_by("group", "name")[:500],
        "corps": list(Corp.objects.order_by("pk")),
        "channels": Channel.choices,
        "pile": {kind: list(Kept.objects.filter(kind=kind).order_by("-pk")[:MOST_KEPT]) for kind in Kind.values},
        "now": timezone.now(),
        "limits": {"bytes": contents.MASS_TEXT_BYTES, "characters": contents.MOMENTS_TEXT_CHARACTERS},
    }


def show_files(form: PushForm) -> None:
    """Look up the kept files that the form names, for their pictures. Scoped."""
    numbers = {number for variant in form.variants if (number := whole(variant.attached.get("media", "")))}
    known = keeping.by_ids(numbers)
    for variant in form.variants:
        row = known.get(whole(variant.attached.get("media", "")) or 0)
        variant.kept = {variant.attachment: row} if row else {}


def _save_variant(form: PushForm, variant: VariantForm, index: int, actor: Actor, at: datetime) -> pushes.VariantDraft:
    label = f"{form.name[:50]} · {chr(65 + index)}"
    saved = contents.save(
        name=label,
        channel=form.channel,
        text=variant.text.replace("\r\n", "\n"),
        attachments=[*_attachments(variant, form.channel), *variant.others],
        content_id=variant.content_id,
        actor=actor,
        at=at,
    )
    return pushes.VariantDraft(content_id=saved.pk, condition=_condition(variant), name=chr(65 + index))


def _attachments(variant: VariantForm, channel: str) -> list[dict[str, Any]]:
    """The attachment as WeCom takes it on this channel: fields that the channel has not are hidden in the form too."""
    kind = variant.attachment
    if kind not in FIELDS:
        return []
    taken = {field.name for field in contents.FORMS.get(channel, {}).get(kind, ())} or set(FIELDS[kind])
    body: dict[str, Any] = {name: text for name, text in variant.attached.items() if text and name in taken}
    number = whole(variant.attached.get(attached.MEDIA, ""))
    if number:
        # A file that was chosen takes the place of what was named before.
        ways = {way.field for way in attached.ways(channel, kind)}
        body = {name: text for name, text in body.items() if name not in ways} | {attached.MEDIA: number}
    return [{"msgtype": kind, kind: body}]


def _condition(variant: VariantForm) -> Any:
    kind, _sep, key = variant.aim.partition(":")
    if kind == KEEP:
        return variant.condition
    number = whole(key)
    if kind == "tag" and number is not None:
        return {"kind": "tag", "tag_id": number, "op": "has"}
    if kind == "segment" and number is not None:
        segment = Segment.objects.filter(pk=number).first()
        return segment.tree if segment else None
    return None


def _variant_form(number: int, row: Variant) -> VariantForm:
    kind, body, others = _split(row.content.attachments)
    form = VariantForm(number, row.content_id, text=row.content.text, attachment=kind, attached=body, others=others)
    form.condition = row.condition
    form.ends = media_use.media_ends(row.content)
    if row.condition is not None:
        leaf = row.condition
        simple = leaf.get("kind") == "tag" and leaf.get("op") == "has" and isinstance(leaf.get("tag_id"), int)
        form.aim = f"tag:{leaf['tag_id']}" if simple and len(leaf) == 3 else KEEP
        form.aim_words = segments.sentence(row.condition)
    return form


def _split(attachments: list[Any]) -> tuple[str, dict[str, str], list[Any]]:
    """The first attachment if the form has fields for it, and the others."""
    if attachments and attachments[0].get("msgtype") in FIELDS:
        kind = attachments[0]["msgtype"]
        body = attachments[0].get(kind) or {}
        return kind, {name: str(value) for name, value in body.items()}, list(attachments[1:])
    return "none", {}, list(attachments)


def _whole(form: PushForm, name: str, default: Any, wrong: list[FieldError]) -> Any:
    text = getattr(form, name).replace(",", "")
    if not text:
        return default
    number = whole(text, most=10**9)
    if number is None:
        form.errors[name] = _("请填整数。")
        wrong.append(FieldError(name, "wrong_type", _("请填整数。")))
        return default
    return number


def _moment(form: PushForm, zone: str, wrong: list[FieldError]) -> datetime | None:
    if not form.scheduled:
        return None
    try:
        return timezone.make_aware(datetime.fromisoformat(form.scheduled), ZoneInfo(zone))
    except ValueError:
        form.errors["scheduled"] = _("请填日期和时间。")
        wrong.append(FieldError("scheduled_at", "wrong_type", _("请填日期和时间。")))
        return None

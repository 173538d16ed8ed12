"""推送: written as a draft, sent (with a grace in which it can be recalled), cancelled. campaigns.planning plans it.

draft ─send→ scheduled ─plan→ planning → sending → done
  ↑────recall────┘                 └────cancel────→ cancelled"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from campaigns.contents import contents
from campaigns.models import Batch, Channel, Content, Push, Variant
from campaigns.planning import forecast, tally
from campaigns.planning.audience import corp_of
from scrm.lib.errors import Conflict, FieldError, Invalid, Refused, found
from tagging.language import compiler
from tagging.models import Segment
from tenants import audit
from tenants.actors import Actor
from wecom.models import Corp

Status = Push.Status
MOST_VARIANTS = 20
MOST_RECIPIENTS = 10_000_000
MASS_SENDS = (Channel.SINGLE, Channel.GROUP)


class AudienceEmpty(Refused):
    """Nobody would get the push; the reasons are in the message."""

    code = "campaigns.audience_empty"


@dataclass(frozen=True, slots=True)
class VariantDraft:
    """Who meets `condition` (a tree; None: everybody) gets the content; the first match wins."""

    content_id: int
    condition: Mapping[str, Any] | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What an operator fills in. `segment_id` None: everybody (group chats: all). `corp_id` None: the only corp."""

    name: str
    channel: str
    variants: Sequence[VariantDraft]
    segment_id: int | None = None
    corp_id: int | None = None
    priority: int = 50
    holdout_percent: int = 0
    max_recipients: int | None = None
    scheduled_at: datetime | None = None


def create(*, draft: Draft, actor: Actor, at: datetime) -> Push:
    """Write a new draft. Scoped. Raises Invalid naming each field (`variants.0.content_id`)."""
    return _save(Push(created_at=at, created_by=actor.id), draft, actor, at)


def edit(*, push_id: int, draft: Draft, actor: Actor, at: datetime) -> Push:
    """Replace a draft. Scoped. Raises NotFound, Invalid, or Conflict when it is not a draft any more."""
    push = _locked(push_id)
    if push.status != Status.DRAFT:
        raise Conflict(_("推送已不是草稿，不能修改。"), remedy=_("请先撤回。"), code="campaigns.not_draft")
    return _save(push, draft, actor, at)


def send(*, push_id: int, actor: Actor, at: datetime, scheduled_at: datetime | None = None) -> Push:
    """Schedule a draft: it leaves at `scheduled_at` (or the draft's own, or now), never before the grace has passed.

    Scoped. Sending a scheduled push again changes nothing. Raises NotFound, Conflict (not a draft), Invalid (no corp, a
    content WeCom would refuse), or AudienceEmpty, with the reasons, when nobody would. Nothing is written then."""
    push = _locked(push_id)
    if push.status == Status.SCHEDULED:
        return push
    if push.status != Status.DRAFT:
        raise Conflict(_("推送已经发出过。"), remedy=_("请复制为新推送。"), code="campaigns.not_draft")
    _check_contents(push)
    expected = forecast.dry_run(push_id=push_id, at=at)
    if not expected.planned:
        raise _empty(expected)
    push.corp = corp_of(push.corp_id)
    earliest = at + timedelta(seconds=settings.ORCHARD_SEND_GRACE_SECONDS)
    push.scheduled_at = max(scheduled_at or push.scheduled_at or at, earliest)
    push.status = Status.SCHEDULED
    push.save(update_fields=["status", "corp", "scheduled_at"])
    _record("push.send", push, actor, at, {"scheduled_at": push.scheduled_at.isoformat(), "planned": expected.planned})
    return push


def recall(*, push_id: int, actor: Actor, at: datetime) -> Push:
    """Make a scheduled push a draft again. Scoped. Raises NotFound, or Conflict once its plan has begun."""
    push = _locked(push_id)
    if push.status != Status.SCHEDULED:
        raise Conflict(
            _("推送已开始规划，不能撤回。"),
            remedy=_("可以取消：还没有交给企业微信的不再发送。"),
            code="campaigns.too_late",
        )
    push.status, push.scheduled_at = Status.DRAFT, None
    push.save(update_fields=["status", "scheduled_at"])
    _record("push.recall", push, actor, at, None)
    return push


def cancel(*, push_id: int, actor: Actor, at: datetime) -> Push:
    """Stop a push: what WeCom does not have yet stays here. Scoped. A cancelled push stays as it is.

    Batches not claimed yet are cancelled at once; `release.release` then takes back their deliveries and reservations.
    Tasks that WeCom has are stopped by campaigns.confirming. Raises NotFound, or Conflict for a push that is over."""
    push = _locked(push_id)
    if push.status == Status.CANCELLED:
        return push
    if push.status in (Status.DONE, Status.FAILED):
        raise Conflict(_("推送已经结束，没有可取消的。"), code="campaigns.over")
    push.status = Status.CANCELLED
    push.save(update_fields=["status"])
    stopped = Batch.objects.filter(push=push, status=Batch.Status.PENDING).update(status=Batch.Status.CANCELLED)
    _record("push.cancel", push, actor, at, {"batches": stopped})
    return push


def due(*, at: datetime) -> list[int]:
    """The pushes to be planned now: scheduled ones whose time has come, and plans cut short. Highest priority first."""
    ready = Push.objects.filter(status=Status.SCHEDULED, scheduled_at__lte=at)
    halted = Push.objects.filter(status=Status.PLANNING)
    return list((ready | halted).order_by("-priority", "scheduled_at", "pk").values_list("pk", flat=True))


def _save(push: Push, draft: Draft, actor: Actor, at: datetime) -> Push:
    errors = _check(draft)
    if errors:
        raise Invalid(_("推送没有保存。"), errors=errors)
    before = _state(push) if push.pk else None
    push.name, push.channel = draft.name.strip(), draft.channel
    push.segment_id, push.segment_tree = draft.segment_id, None
    push.corp_id = draft.corp_id or Corp.objects.order_by("pk").values_list("pk", flat=True).first()
    push.priority, push.holdout_percent = draft.priority, draft.holdout_percent
    push.max_recipients, push.scheduled_at = draft.max_recipients, draft.scheduled_at
    push.save()
    Variant.objects.filter(push=push).delete()
    Variant.objects.bulk_create(
        Variant(push=push, position=index, name=each.name, condition=each.condition, content_id=each.content_id)
        for index, each in enumerate(draft.variants)
    )
    audit.record(
        actor=actor,
        action="push.save",
        object_type="push",
        object_id=push.pk,
        before=before,
        after=_state(push),
        at=at,
    )
    return push


def _check(draft: Draft) -> list[FieldError]:
    errors = []
    if not 1 <= len(draft.name.strip()) <= contents.NAME_CHARACTERS:
        errors.append(FieldError("name", "campaigns.name", _("名称应有 1 到 %d 个字。") % contents.NAME_CHARACTERS))
    if draft.channel not in Channel.values:
        errors.append(FieldError("channel", "content.channel_unknown", _("没有这个渠道。")))
    if not 0 <= draft.priority <= 100:
        errors.append(FieldError("priority", "campaigns.priority", _("优先级应在 0 到 100 之间。")))
    if not 0 <= draft.holdout_percent <= 90:
        errors.append(FieldError("holdout_percent", "campaigns.holdout", _("对照组应在百分之 0 到 90 之间。")))
    if draft.max_recipients is not None and not 1 <= draft.max_recipients <= MOST_RECIPIENTS:
        message = _("最多人数应在 1 到 %d 之间。") % MOST_RECIPIENTS
        errors.append(FieldError("max_recipients", "campaigns.max_recipients", message, _("不限请留空。")))
    if draft.segment_id is not None and not Segment.objects.filter(pk=draft.segment_id, archived_at=None).exists():
        errors.append(FieldError("segment_id", "campaigns.no_segment", _("没有这个人群。"), _("请另选一个人群。")))
    return [*errors, *_check_corp(draft.corp_id), *_check_variants(draft)]


def _check_corp(corp_id: int | None) -> list[FieldError]:
    if corp_id and not Corp.objects.filter(pk=corp_id).exists():
        return [FieldError("corp_id", "campaigns.no_corp", _("没有这个企业。"))]
    if not corp_id and Corp.objects.count() > 1:
        return [
            FieldError("corp_id", "campaigns.corp_needed", _("品牌有多个企业，没有说从哪个发。"), _("请选择一个企业。"))
        ]
    return []


def _check_variants(draft: Draft) -> list[FieldError]:
    if not 1 <= len(draft.variants) <= MOST_VARIANTS:
        message = _("推送应有 1 到 %d 个变体。") % MOST_VARIANTS
        return [FieldError("variants", "campaigns.no_content", message, _("请选一个内容。"))]
    channels = dict(
        Content.objects.filter(pk__in=[each.content_id for each in draft.variants]).values_list("pk", "channel")
    )
    errors: list[FieldError] = []
    for index, each in enumerate(draft.variants):
        path = f"variants.{index}"
        fits = _fits(channels.get(each.content_id), draft.channel)
        if each.content_id not in channels:
            errors.append(FieldError(f"{path}.content_id", "campaigns.content_missing", _("没有这个内容。")))
        elif not fits:
            message = _("这个内容是为另一个渠道写的。")
            errors.append(FieldError(f"{path}.content_id", "campaigns.content_channel", message, _("请另选一个内容。")))
        if each.condition is None and index < len(draft.variants) - 1:
            message = _("没有条件的变体排在前面，后面的变体不会有人命中。")
            errors.append(
                FieldError(f"{path}.condition", "campaigns.variant_unreachable", message, _("请把它移到最后。"))
            )
        errors += _check_condition(each.condition, f"{path}.condition")
    return errors


def _fits(made_for: str | None, channel: str) -> bool:
    """A text for one customer may go to a group too: WeCom's limits are the same."""
    return made_for == channel or (made_for in MASS_SENDS and channel in MASS_SENDS)


def _check_condition(condition: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    if condition is None:
        return []
    try:
        compiler.validate(condition, path=path)
    except Invalid as wrong:
        return list(wrong.errors)
    return []


def _check_contents(push: Push) -> None:
    for variant in Variant.objects.filter(push=push).select_related("content").order_by("position"):
        said = variant.content
        errors = contents.check(name=said.name, channel=push.channel, text=said.text, attachments=said.attachments)
        if errors:
            raise Invalid(_("内容「%s」不能发送。") % said.name, errors=errors, remedy=_("请修改内容后再发送。"))


def _empty(expected: forecast.Forecast) -> AudienceEmpty:
    figures = tally.Figures(expected.selected, expected.planned, expected.holdout, dict(expected.suppressed))
    message, remedy = tally.empty_sentence(figures), tally.empty_remedy()
    errors = [FieldError("segment_id", AudienceEmpty.code, message, remedy)]
    return AudienceEmpty(message, remedy=remedy, errors=errors)


def _locked(push_id: int) -> Push:
    return found(Push.objects.filter(pk=push_id).select_for_update(of=("self",)))


def _record(action: str, push: Push, actor: Actor, at: datetime, after: Mapping[str, Any] | None) -> None:
    audit.record(actor=actor, action=action, object_type="push", object_id=push.pk, after=after, at=at)


def _state(push: Push) -> dict[str, Any]:
    variants = Variant.objects.filter(push=push).order_by("position")
    return {
        "name": push.name,
        "channel": push.channel,
        "segment_id": push.segment_id,
        "corp_id": push.corp_id,
        "priority": push.priority,
        "holdout_percent": push.holdout_percent,
        "max_recipients": push.max_recipients,
        "variants": list(variants.values("name", "condition", "content_id")),
    }

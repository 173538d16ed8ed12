"""Promises by hand: a contact stands no lower than a tier, for a time or until somebody takes it back."""

from datetime import datetime

from django.utils.translation import gettext as _

from contacts.models import Contact
from points.models import Tier, TierFloor, TierSpell
from points.tiers import keeping, reading
from scrm.lib.errors import FieldError, Invalid, Refused, found
from tenants import audit
from tenants.actors import Actor


def promise(*, contact_id: int, tier: str, until: datetime | None, note: str, actor: Actor, at: datetime) -> TierFloor:
    """Hold the contact at `tier` or above until then (None: until taken back). Scoped; audited. Takes the place of an
    earlier promise. Raises NotFound, Invalid."""
    found(Contact.objects.filter(pk=contact_id))
    errors = []
    if not Tier.objects.filter(pk=tier).exists():
        errors.append(FieldError("tier", "tiers.unknown", _("没有这个等级。"), _("选一个现有的等级。")))
    if until is not None and until <= at:
        errors.append(FieldError("until", "tiers.until", _("结束时间已经过去。"), _("选一个将来的时间，或留空。")))
    if not 0 < len(note.strip()) <= 200:
        errors.append(FieldError("note", "required", _("请写明原因，最多 200 个字符。")))
    if errors:
        raise Invalid(_("没有保底。"), errors=errors)
    keeping.hold()
    _end(contact_id, at)
    floor = TierFloor.objects.create(
        contact_id=contact_id,
        tier=tier,
        since=at,
        until=until,
        note=note.strip(),
        actor=actor.id,
        actor_label=actor.label,
    )
    keeping.look([contact_id], at=at)
    after = {"tier": tier, "until": until.isoformat() if until else None}
    audit.record(actor=actor, action="tiers.floor", object_type="contact", object_id=contact_id, after=after, at=at)
    return floor


def take_back(*, contact_id: int, actor: Actor, at: datetime) -> None:
    """End the promise in force. Scoped; audited. Raises NotFound, or Refused if there is none."""
    found(Contact.objects.filter(pk=contact_id))
    keeping.hold()
    floor = reading.floor_of(contact_id=contact_id, at=at)
    if floor is None:
        raise Refused(_("这位客户没有生效中的人工保底。"), remedy=_("不需要取消。"), code="tiers.no_floor")
    _end(contact_id, at)
    keeping.look([contact_id], at=at)
    before = {"tier": floor.tier, "until": floor.until.isoformat() if floor.until else None}
    audit.record(
        actor=actor, action="tiers.floor_ended", object_type="contact", object_id=contact_id, before=before, at=at
    )


def _end(contact_id: int, at: datetime) -> None:
    """Whatever is promised ends now, and with it the spell that it holds."""
    TierFloor.objects.filter(contact=contact_id, since__lte=at).exclude(until__lte=at).update(until=at)
    open_spell = TierSpell.objects.filter(contact=contact_id, until=None, by_hand=True)
    open_spell.exclude(ends_at__lte=at).update(ends_at=at, due_at=at)

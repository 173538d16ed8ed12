"""Groups of tags: whether those of one group exclude each other."""

from datetime import datetime

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from scrm.lib.errors import FieldError, Invalid
from tagging import exclusion, giving
from tagging.models import ContactTag, Tag, TagGroup, TagRun
from tenants import audit
from tenants.actors import Actor


def set_group(*, name: str, exclusive: str, actor: Actor, at: datetime) -> TagGroup:
    """Say whether tags of the group exclude each other: "", "latest" or "priority". Scoped; audited.

    From now on nobody gets a second one. Contacts who have several keep the winner; the others are taken by a run that
    begins here (`settle`, range by range). Raises Invalid."""
    if exclusive not in TagGroup.Exclusive.values:
        raise Invalid(
            _("有字段不正确。"),
            errors=[
                FieldError(
                    "exclusive", "tagging.unknown_choice", _("没有这种互斥方式。"), _('可选：""、latest、priority。')
                )
            ],
        )
    if not Tag.objects.filter(group=name).exists() or not name:
        raise Invalid(
            _("有字段不正确。"),
            errors=[FieldError("name", "tagging.unknown_reference", _("没有这个分组。"), _("先在这个分组里建标签。"))],
        )
    before = TagGroup.objects.filter(name=name).values_list("exclusive", flat=True).first() or ""
    group, _made = TagGroup.objects.update_or_create(name=name, defaults={"exclusive": exclusive})
    audit.record(
        actor=actor,
        action="tag_group.save",
        object_type="tag_group",
        object_id=group.pk,
        before={"name": name, "exclusive": before},
        after={"name": name, "exclusive": exclusive},
        at=at,
    )
    if exclusive and exclusive != before:
        TagRun.objects.create(kind=TagRun.Kind.EXCLUSION, rule_fields={"group": name}, at=at, began_by=actor.id)
    return group


def settle(*, name: str, between: tuple[int, int], at: datetime) -> int:
    """Leave the contacts with ids of a range one tag of the group each; how many tags were taken. Scoped.

    Choose ranges that take about a second. A group that has become an ordinary one again is left as it is."""
    way = TagGroup.objects.filter(name=name).values_list("exclusive", flat=True).first()
    if not way:
        return 0
    had = ContactTag.objects.filter(_live(at), tag__group=name)
    part = had.filter(contact_id__gte=between[0], contact_id__lte=between[1])
    several = part.values("contact_id").annotate(n=Count("tag_id")).filter(n__gt=1)
    who = list(several.order_by().values_list("contact_id", flat=True))
    # Who is held has the same tags until the end; what was seen before may have been somebody else's work in between.
    exclusion.hold(who)
    rows = list(had.filter(contact_id__in=who).select_related("tag"))
    return len(giving.take(pairs=exclusion.surplus(rows, way), source="exclusion", at=at))


def _live(at: datetime) -> Q:
    return Q(expires_at=None) | Q(expires_at__gt=at)

"""Whom a push is for and what it needs to know to decide: the push's rows and conditions, read once."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext as _

from campaigns.budget import limits
from campaigns.models import Channel, Push, Variant
from contacts.models import Staff
from scrm.lib.errors import FieldError, Invalid, found
from tagging.language.compiler import condition_sql
from tagging.language.sql import TRUE, Sql, all_of
from tagging.segments import memberships
from tenants.scope import current_brand_id
from wecom.models import Corp

MASS_SEND_MOST, GROUP_SEND_MOST = 10_000, 2_000
"""recipients of one call (api-reference §12.2)"""


FRIEND_IN = """EXISTS (SELECT 1 FROM contacts_follow o
  JOIN contacts_staff s ON s.brand_id = o.brand_id AND s.id = o.staff_id
  WHERE o.brand_id = %s AND o.contact_id = c.id AND o.lost_at IS NULL
    AND s.corp_id = %s AND s.is_guide AND s.left_at IS NULL)"""


@dataclass(frozen=True, slots=True)
class Target:
    """What a push of a channel writes to: contacts or group chats."""

    table: str
    key: str
    most: int
    """recipients of one batch; a Moments task names none, its tag does"""
    per_guide: bool = True


TARGETS = {
    Channel.SINGLE: Target("campaigns_delivery", "contact_id", MASS_SEND_MOST),
    Channel.MOMENTS: Target("campaigns_delivery", "contact_id", 2**31 - 1, per_guide=False),
    Channel.GROUP: Target("campaigns_groupdelivery", "chat_id", GROUP_SEND_MOST),
}


@dataclass(frozen=True, slots=True)
class Ahead:
    """A push of higher priority that waits to be planned, and will want its place in the budget."""

    push_id: int
    corp_id: int
    day: date
    trees: tuple[Any, ...]
    """all must hold"""
    is_planning: bool


@dataclass(frozen=True)
class Question:
    """A push as its plan sees it."""

    brand_id: int
    push: Push
    corp_id: int
    tree: Any
    """the segment's tree; None: everybody"""
    variants: tuple[Variant, ...]
    rules: limits.Rules
    zone: str
    ahead: tuple[Ahead, ...]
    guides: tuple[int, ...]
    """the corp's staff who can send"""
    colleagues: tuple[int, ...]
    """all of the corp's staff"""
    at: datetime

    @property
    def target(self) -> Target:
        """Contacts or chats."""
        return TARGETS[Channel(self.push.channel)]

    def chosen(self, within: tuple[int, int] | None = None) -> Sql:
        """Whether contact `c` is in the audience."""
        return TRUE if self.tree is None else self.condition(self.tree, within)

    def variant(self, within: tuple[int, int] | None = None) -> Sql:
        """The id of the first variant that contact `c` matches, or NULL."""
        words, params = [], []
        for row in self.variants:
            held = TRUE if row.condition is None else self.condition(row.condition, within)
            words.append(f"WHEN {held.text} THEN %s")
            params += [*held.params, row.pk]
        return Sql(f"(CASE {' '.join(words)} END)::bigint", tuple(params))

    def wanted_by(self, other: Ahead, within: tuple[int, int] | None = None) -> Sql:
        """Whether the other push will want contact `c`, as far as its conditions tell today."""
        parts = [self.condition(tree, within) for tree in other.trees]
        if other.corp_id != self.corp_id:  # who is decided about is a friend in this corp, not always in that one
            parts.append(Sql(FRIEND_IN, (self.brand_id, other.corp_id)))
        if other.is_planning:  # what it has decided already is in the ledger
            parts.append(
                Sql(
                    "NOT EXISTS (SELECT 1 FROM campaigns_delivery o WHERE o.brand_id = %s AND o.push_id = %s"
                    " AND o.contact_id = c.id)",
                    (self.brand_id, other.push_id),
                )
            )
        return all_of(parts)

    def condition(self, tree: Any, within: tuple[int, int] | None = None) -> Sql:
        """Whether contact `c` meets a tree."""
        return condition_sql(tree, brand_id=self.brand_id, at=self.at, within=within)


def question(*, push_id: int, at: datetime) -> Question:
    """Read the push and what binds it. Scoped. Raises NotFound, or Invalid when its corp or variants are missing.

    The segment's tree is the push's snapshot once the plan has begun, before that the segment's own."""
    brand_id = current_brand_id()
    push = found(Push.objects.filter(pk=push_id).select_related("segment"))
    corp = corp_of(push.corp_id)
    variants = tuple(Variant.objects.filter(push=push).select_related("content").order_by("position"))
    if not variants:
        raise Invalid(
            _("推送还没有内容。"),
            errors=[FieldError("variants", "campaigns.no_content", _("推送还没有内容。"), _("请选一个内容。"))],
        )
    rules = limits.rules_for(
        brand_id=brand_id, corp_id=corp.pk, quota_mode=corp.quota_mode, channel=push.channel, at=at
    )
    staff = list(Staff.objects.filter(corp=corp).order_by("pk").values_list("pk", "is_guide", "left_at"))
    return Question(
        brand_id=brand_id,
        push=push,
        corp_id=corp.pk,
        tree=_tree(push),
        variants=variants,
        rules=rules,
        zone=str(limits.zone_of(brand_id)),
        ahead=() if push.channel == Channel.GROUP else _ahead(push, corp.pk, rules, brand_id),
        guides=tuple(pk for pk, is_guide, left_at in staff if is_guide and left_at is None),
        colleagues=tuple(pk for pk, _is_guide, _left_at in staff),
        at=at,
    )


def corp_of(corp_id: int | None) -> Corp:
    """The push's corp, or the brand's only one. Scoped. Raises Invalid when it can't be told."""
    corps = list(Corp.objects.filter(pk=corp_id) if corp_id else Corp.objects.order_by("pk")[:2])
    if len(corps) == 1:
        return corps[0]
    if corps:
        message, remedy = _("品牌有多个企业，没有说从哪个发。"), _("请选择一个企业。")
    else:
        message, remedy = _("还没有接入企业微信。"), _("请到 设置 › 企微接入 完成接入。")
    raise Invalid(message, remedy=remedy, errors=[FieldError("corp_id", "campaigns.corp_needed", message, remedy)])


def _ahead(push: Push, corp_id: int, rules: limits.Rules, brand_id: int) -> tuple[Ahead, ...]:
    """Pushes that keep their place against this one: higher priority, same channel, due within a shared window.

    The quota is a corp's, the cap the brand's. One with a maximum of recipients is left out: who is full is replaced
    by the next there."""
    found_: list[Ahead] = []
    waiting = Push.objects.filter(
        status__in=(Push.Status.SCHEDULED, Push.Status.PLANNING),
        priority__gt=push.priority,
        channel=push.channel,
        max_recipients=None,
        scheduled_at__isnull=False,
    ).exclude(pk=push.pk)
    for other in waiting.select_related("segment").order_by("scheduled_at", "pk"):
        if other.sop_version_id or other.scheduled_at is None:
            continue
        theirs = other.corp_id or corp_id
        day = max(limits.brand_day(brand_id=brand_id, at=other.scheduled_at), rules.day)
        in_quota = rules.quota is not None and theirs == corp_id and day <= rules.quota.last
        in_cap = rules.cap is not None and rules.cap.first(day) <= rules.day
        if in_quota or in_cap:
            found_.append(Ahead(other.pk, theirs, day, _trees(other), other.status == Push.Status.PLANNING))
    return tuple(found_)


def _tree(push: Push) -> Any:
    """Whom the push is for; of a static segment, whoever is on its list. None: everybody."""
    if push.segment_tree is not None:
        return push.segment_tree
    return memberships.tree_of(push.segment) if push.segment else None


def _trees(push: Push) -> tuple[Any, ...]:
    tree = _tree(push)
    trees: list[Any] = [] if tree is None else [tree]
    conditions = list(Variant.objects.filter(push=push).values_list("condition", flat=True))
    if conditions and None not in conditions:
        trees.append({"any": conditions})
    return tuple(trees)

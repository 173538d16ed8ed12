"""Work over all contacts in ranges of their ids, each a transaction of about a second, going on where it stopped.

A rule taken over history first says what it would change (a preview writes nothing but its own counts), then changes
it. All ranges are judged at the run's moment. What a rule with a lower threshold has given to contacts who do not
reach it any more is taken; a rule without one takes nothing, its tags run out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _

from contacts.models import Contact
from scrm.lib import retries
from scrm.lib.errors import Conflict, found
from tagging import exclusion, giving, groups
from tagging.grants import Grant, Pair
from tagging.models import ContactTag, TagRule, TagRun
from tagging.rules import interests, reacting, rules, spells
from tagging.rules.measures import Measured, Range, thresholds
from tenants import audit
from tenants.actors import Actor
from tenants.scope import brand_scope, current_brand_id

Kind = TagRun.Kind
STEP = 2000
"""contacts of one range"""


@dataclass(frozen=True, slots=True)
class Change:
    """What a rule means for the contacts of a range."""

    grants: list[Grant]
    """those that stand: where another tag of an exclusive group prevails there is none"""
    losers: list[Pair]
    given: int
    """of the grants: tags that are not there yet"""
    replaced: int
    """tags of an exclusive group that give way to the grants"""


def begin(*, rule_id: int, kind: str, actor: Actor, at: datetime) -> TagRun:
    """Begin a preview or an application of a rule over all history. Scoped; an application is audited.

    Raises NotFound, Conflict `tagging.rule_archived`, `tagging.run_exists` while one is under way,
    `tagging.rule_changed` for an application without a finished preview of the rule as it is now."""
    rule = rules.in_use(rule_id)
    if TagRun.objects.filter(rule=rule, finished_at=None).exists():
        raise Conflict(_("这条规则正在计算。"), remedy=_("等它完成，页面会显示进度。"), code="tagging.run_exists")
    fields = _frozen(rule)
    if kind == Kind.APPLY:
        preview = TagRun.objects.filter(rule=rule, kind=Kind.PREVIEW).exclude(finished_at=None).order_by("-id").first()
        if preview is None or preview.rule_fields != fields:
            raise Conflict(
                _("还没有预览过这条规则现在的样子。"), remedy=_("先预览，看过人数再补打。"), code="tagging.rule_changed"
            )
        audit.record(
            actor=actor, action="tag_rule.apply", object_type="tag_rule", object_id=rule.pk, after=fields, at=at
        )
    return TagRun.objects.create(kind=kind, rule=rule, rule_fields=fields, at=at, began_by=actor.id)


def begin_interests(*, actor: Actor, at: datetime) -> TagRun:
    """Begin to reckon all interest scores anew, after other weights or an import. Scoped; audited."""
    TagRun.objects.filter(kind=Kind.INTERESTS, finished_at=None).update(finished_at=at)
    audit.record(actor=actor, action="interest_scores.recompute", object_type="interest_policy", object_id=0, at=at)
    return TagRun.objects.create(kind=Kind.INTERESTS, at=at, began_by=actor.id)


def open_runs() -> list[TagRun]:
    """Those under way. Scoped."""
    return list(TagRun.objects.filter(finished_at=None).order_by("id"))


def latest(rule_id: int) -> TagRun | None:
    """The rule's last run. Scoped."""
    return TagRun.objects.filter(rule_id=rule_id).order_by("-id").first()


def latest_of(rule_ids: Collection[int]) -> dict[int, TagRun]:
    """Rule id → its last run; rules that were never taken over history are missing. Scoped; one query."""
    runs = TagRun.objects.filter(rule__in=rule_ids).order_by("rule_id", "-id").distinct("rule_id")
    return {run.rule_id: run for run in runs if run.rule_id is not None}


def share(run: TagRun) -> float:
    """Of the contacts, how many a run has done: 0 to 1. Scoped; counts contacts while it goes on."""
    if run.finished_at is not None:
        return 1.0
    everybody = Contact.objects.count()
    return Contact.objects.filter(pk__lt=run.next_contact).count() / everybody if everybody else 1.0


def advance(*, brand_id: int, run_id: int, now: datetime) -> bool:
    """Do one range; whether there is more to do. Opens its own scope: a killed worker loses one range at most."""
    return retries.until_done(lambda: _advance(brand_id, run_id, now=now))


def _advance(brand_id: int, run_id: int, *, now: datetime) -> bool:
    with brand_scope(brand_id):
        run = TagRun.objects.select_for_update(of=("self",)).filter(pk=run_id, finished_at=None).first()
        if run is None:
            return False
        last = _range_end(run.next_contact)
        if last is None:
            run.finished_at = now
            run.save(update_fields=["finished_at"])
            return False
        done = _do(run, Range(run.next_contact, last), now=now)
        run.result = {key: run.result.get(key, 0) + done.get(key, 0) for key in {*run.result, *done}}
        run.next_contact = last + 1
        run.save(update_fields=["result", "next_contact"])
    return True


def run_to_end(*, brand_id: int, run_id: int, now: datetime) -> None:
    """All ranges that are left."""
    while advance(brand_id=brand_id, run_id=run_id, now=now):
        pass


def _do(run: TagRun, part: Range, *, now: datetime) -> dict[str, int]:
    if run.kind == Kind.INTERESTS:
        return {"scores": interests.recompute(between=(part.first, part.last), at=now)}
    if run.kind == Kind.LIFECYCLE:
        # Everybody's first stage, and what the changed rules make of them, is history and no news.
        return {"changed": spells.look(between=(part.first, part.last), at=now, cause=spells.Cause.RULES)}
    if run.kind == Kind.EXCLUSION:
        return {"taken": groups.settle(name=run.rule_fields["group"], between=(part.first, part.last), at=now)}
    if run.rule_id is None:
        raise ValueError(f"run {run.pk} has no rule")
    rule = found(TagRule.objects.select_related("tag").filter(pk=run.rule_id))
    if run.kind == Kind.APPLY and _frozen(rule) != run.rule_fields:
        return {"skipped": 1}
    change = changes_of(rule, part, at=run.at)
    given, taken = change.given, len(change.losers)
    if run.kind == Kind.APPLY:
        lasting = [grant for grant in change.grants if grant.expires_at is None or grant.expires_at > now]
        done = giving.change(grants=lasting, losers=change.losers, source=ContactTag.Source.RULE, at=now)
        given, taken = len(done[0]), len(done[1])
    return {"given": given, "taken": taken, "kept": len(change.grants) - given, "replaced": change.replaced}


def changes_of(rule: TagRule, part: Range, *, at: datetime) -> Change:
    """What the rule would give and take in this range, judged at `at`. Scoped; writes nothing."""
    by_id = {rule.pk: rule}
    seen = _measured(rule, part, at=at)
    held = _held(rule, part, at=at)
    grants, losers = reacting.decided(rules=by_id, found=seen, held={(rule.pk, key) for key in held}, at=at)
    if thresholds(rule)[1] is not None:
        # Who has the tag of the rule and not one event of it in the window.
        losers += [(contact_id, rule.tag_id) for contact_id in held - {each.contact_id for each in seen}]
    has = set(_live(rule, part, at=at).values_list("contact_id", flat=True))
    ways = exclusion.ways([rule.tag])
    standing, put_out = exclusion.settled(grants, tags={rule.tag_id: rule.tag}, ways=ways, is_rule=True, at=at)
    return Change(standing, losers, sum(grant.contact_id not in has for grant in standing), len(put_out))


def _measured(rule: TagRule, part: Range, *, at: datetime) -> list[Measured]:
    if rule.measure == TagRule.Measure.INTEREST:
        return interests.decide_for(rule, first=part.first, last=part.last, at=at)
    seen = reacting.measure([rule], part, brand_id=current_brand_id(), at=at)
    # The log may name contacts who are hidden or gone; tags are for those who are there.
    known = set(Contact.objects.filter(pk__gte=part.first, pk__lte=part.last).values_list("pk", flat=True))
    return [each for each in seen if each.contact_id in known]


def _live(rule: TagRule, part: Range, *, at: datetime) -> Any:
    live = Q(expires_at=None) | Q(expires_at__gt=at)
    return ContactTag.objects.filter(live, tag_id=rule.tag_id, contact_id__gte=part.first, contact_id__lte=part.last)


def _held(rule: TagRule, part: Range, *, at: datetime) -> set[int]:
    rows = _live(rule, part, at=at).filter(rule_id=rule.pk, source=ContactTag.Source.RULE)
    return set(rows.values_list("contact_id", flat=True))


def _frozen(rule: TagRule) -> Mapping[str, Any]:
    """What decides whom the rule touches; its name and whether it is on do not."""
    return {key: value for key, value in rules.fields_of(rule).items() if key not in ("name", "enabled")}


def _range_end(first: int) -> int | None:
    """The id that ends the range which begins at `first`; None when nobody is left."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(id) FROM (SELECT c.id FROM contacts_contact c WHERE c.brand_id = %s AND c.id >= %s"
            " ORDER BY c.id LIMIT %s) AS x",
            [current_brand_id(), first, STEP],
        )
        end = cursor.fetchone()[0]
    return None if end is None else int(end)

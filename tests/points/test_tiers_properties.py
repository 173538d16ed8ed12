"""Whatever happens, and whoever looks when: replaying the log gives the same spells."""

import os
from datetime import timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from events import log, partitions, reactors
from events.log import NewEvent
from events.models import Event, ReactorCursor
from points import ledger
from points.models import TierSpell, Transfer
from points.tiers import floors, keeping, rules
from points.tiers.reactor import REACTOR
from scrm.lib.errors import Conflict, Refused
from tenants.actors import SYSTEM
from tenants.models import Brand
from tenants.scope import brand_scope
from tests.cast import NOON as TODAY
from tests.cast import Cast

DAY = timedelta(days=1)
BEGIN = TODAY - 900 * DAY
END = TODAY + 300 * DAY
"""months of the log are made at most a year ahead"""
EXAMPLES = max(25, int(os.environ.get("ORCHARD_EXAMPLES", 0)) // 10)
CODES = ("silver", "gold", "black")
JUMPS = st.sampled_from([0, 0, 1, 1, 20, 40, 130, 340])
ORDERS = st.tuples(st.just("order"), st.integers(0, 4), st.sampled_from([0, 50, 100, 300]), st.sampled_from([0, 0, 6]))
ACTS = st.one_of(
    ORDERS,
    ORDERS,
    st.tuples(st.just("refund"), st.integers(0, 4), st.sampled_from([50, 300]), st.just(0)),
    st.tuples(st.just("cancel"), st.integers(0, 4), st.just(0), st.just(0)),
    st.tuples(st.just("grant"), st.integers(0, 99), st.sampled_from([50, 100, 300]), st.just(0)),
    st.tuples(st.just("reverse"), st.integers(0, 9), st.just(0), st.just(0)),
    st.tuples(st.just("promise"), st.integers(0, 2), st.sampled_from([None, 1, 30, 400]), st.just(0)),
    st.tuples(st.just("take_back"), st.just(0), st.just(0), st.just(0)),
)
STEPS = st.lists(st.tuples(ACTS, st.integers(0, 1), JUMPS, st.booleans()), max_size=12)
SAID = st.fixed_dictionaries(
    {
        "metric": st.sampled_from(["growth_value", "net_spend", "net_spend", "order_count"]),
        "window": st.sampled_from(["rolling", "year"]),
        "at_end": st.sampled_from(["keep", "one_down", "to_level"]),
        "grace_days": st.sampled_from([0, 30]),
        "protect_days": st.sampled_from([0, 90]),
    }
)


class TierProperties(TestCase):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(said=SAID, steps=STEPS, zone=st.sampled_from(["Asia/Shanghai", "America/Santiago"]))
    def test_replaying_the_log_gives_the_same_spells(self, said, steps, zone):
        cast = Cast.make()
        Brand.objects.filter(pk=cast.brand.id).update(timezone=zone)
        people = [cast.contact(name, at=BEGIN - DAY) for name in "ab"]
        least = (1, 2, 4) if said["metric"] == "order_count" else (100, 300, 600)
        tiers = [(code, code, n) for code, n in zip(CODES, least, strict=True)]
        at = BEGIN
        with brand_scope(cast.brand.id):
            rules.save(wanted=rules.Wanted(tiers=tiers, **said), actor=SYSTEM, at=at)
            keeping.fill(at=at)
        for number, (act, who, days, is_looked) in enumerate(steps):
            at += (days if at + days * DAY < END else 0) * DAY + timedelta(seconds=1)
            partitions.ensure([at, at - 6 * DAY])
            if act[0] in ("promise", "take_back"):
                self._look(cast, at)  # the log is read within moments: an operator acts on what has been read
            with brand_scope(cast.brand.id):
                self._act(*act, people[who].id, number, at)
            if is_looked:
                self._look(cast, at)
        at += 2 * DAY
        partitions.ensure([at])
        self._look(cast, at)
        kept = self._spells(cast)
        self._check(cast, kept)

        with brand_scope(cast.brand.id):
            TierSpell.objects.all().delete()
        self._look(cast, at)
        with brand_scope(cast.brand.id):
            keeping.look([who.id for who in people], at=at)  # promises are no events

        assert self._spells(cast) == kept

    def _act(self, act, number, amount, late, who, place, at):
        types = {"order": "order_paid", "refund": "order_refunded", "cancel": "order_cancelled"}
        try:
            if act in types:
                props = {"order_no": f"{who}-{number}", "amount_fen": amount}
                log.write([NewEvent(types[act], at - late * DAY, contact_id=who, props=props)], at=at)
            elif act == "grant":
                ledger.grant(contact_id=who, points=amount, key=f"{place}", at=at)
            elif act == "reverse":
                given = list(Transfer.objects.filter(reason="grant").order_by("posted_at", "id"))
                if given:
                    ledger.reverse(transfer_id=given[number % len(given)].id, note="", at=at)
            elif act == "promise":
                until = at + amount * DAY if amount else None
                floors.promise(contact_id=who, tier=CODES[number], until=until, note="x", actor=SYSTEM, at=at)
            else:
                floors.take_back(contact_id=who, actor=SYSTEM, at=at)
        except (Refused, Conflict):
            return

    def _look(self, cast, at):
        """As the reactor and the beat do: what the log holds once more, then whose moment has come."""
        with brand_scope(cast.brand.id):
            horizon = log.current_txid() + 1
            ReactorCursor.objects.filter(reactor=REACTOR.name).delete()
        while reactors.react(brand_id=cast.brand.id, reactor=REACTOR.name, at=at, horizon=horizon).more:
            pass
        with brand_scope(cast.brand.id):
            turns = 0
            while keeping.look_at_due(at=at):
                turns += 1
                assert turns < 5  # whoever was looked at is not due any more

    def _spells(self, cast):
        with brand_scope(cast.brand.id):
            rows = TierSpell.objects.order_by("contact", "since")
            kept = [{name: value for name, value in row.items() if name != "noted_at"} for row in rows.values()]
        for row in kept:
            if row["by_hand"] and row["until"]:
                del row["ends_at"]  # until when it was promised then; that it was taken back was known only later
        return kept

    def _check(self, cast, kept):
        """Spells follow each other without a gap; each change of a tier is told once."""
        for one, other in pairwise(kept):
            if one["contact_id"] == other["contact_id"]:
                assert (one["until"], one["tier"]) == (other["since"], other["was"])
            else:
                assert one["until"] is None
        changed = [(row["contact_id"], row["was"], row["tier"]) for row in kept if row["was"] != row["tier"]]
        with brand_scope(cast.brand.id):
            told = [
                (event.contact_id, event.props["from"], event.props["to"])
                for event in Event.objects.filter(type="tier_changed")
            ]
        assert sorted(told) == sorted(changed)

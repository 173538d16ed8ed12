"""Members' tiers through the log: reached at once, judged at the end, never taken in between."""

from datetime import timedelta

import pytest

from contacts import merging
from contacts.merging import Wanted as Merged
from contacts.models import Contact
from events import log, partitions, reactors
from events.log import NewEvent
from events.models import Event, ReactorCursor
from points import ledger
from points.models import TierRules, TierSpell
from points.tiers import floors, keeping, rules
from points.tiers import of as tier_of
from points.tiers.reactor import REACTOR
from scrm.lib.errors import Invalid, Refused
from tagging.segments import segments
from tagging.segments.explain import explain
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON as TODAY

DAY = timedelta(days=1)
NOON = TODAY - 365 * DAY


@pytest.fixture(scope="module", autouse=True)
def months(module_rows):
    """Of the log, for what happens in a year and after it."""
    partitions.ensure(NOON + 28 * n * DAY for n in (-2, -1, 0, 1, 3, 7, 13, 14, 15))


TIERS = [("silver", "银卡", 100), ("gold", "金卡", 500), ("black", "黑卡", 2000)]


def begin(cast, at=NOON - 30 * DAY, tiers=TIERS, **more):
    said = {"metric": "net_spend", "window": "rolling", "at_end": "to_level"} | more
    with brand_scope(cast.brand.id):
        rules.save(wanted=rules.Wanted(tiers=tiers, **said), actor=SYSTEM, at=at)
    while fill(cast, at):
        pass


def fill(cast, at):
    with brand_scope(cast.brand.id):
        return keeping.fill(at=at)


def ordered(cast, who, number, when, fen, *, type_="order_paid", received=None, fires=True, source="api"):
    props = {"order_no": number, "amount_fen": fen}
    with brand_scope(cast.brand.id):
        news = NewEvent(type_, when, contact_id=who.id, props=props, source=source, fires=fires)
        log.write([news], at=received or when)


def react(cast, at, name=REACTOR.name):
    """Whatever the log holds, once more from its beginning."""
    with brand_scope(cast.brand.id):
        log.write([NewEvent("sign_in", NOON, contact_id=None)], at=NOON)
        horizon = log.current_txid() + 1
        ReactorCursor.objects.filter(reactor=name).delete()
    while reactors.react(brand_id=cast.brand.id, reactor=name, at=at, horizon=horizon).more:
        pass


def spells(cast, who):
    with brand_scope(cast.brand.id):
        rows = TierSpell.objects.filter(contact=who).order_by("since")
        return [(row.was, row.tier, row.reason, row.since) for row in rows]


def now(cast, who, at=NOON):
    with brand_scope(cast.brand.id):
        return tier_of(contact_id=who.id, at=at)


def told(cast, who):
    with brand_scope(cast.brand.id):
        rows = Event.objects.filter(type="tier_changed", contact_id=who.id).order_by("occurred_at")
        return [(row.props["from"], row.props["to"], row.props["direction"], row.fires) for row in rows]


def due(cast, at):
    with brand_scope(cast.brand.id):
        keeping.look_at_due(at=at)


def test_an_order_reaches_a_tier_at_once_and_the_log_is_told(cast):
    begin(cast)
    who = cast.contact(at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON - DAY, 120)
    react(cast, NOON)

    assert spells(cast, who) == [("", "silver", "reached", NOON - DAY)]
    assert told(cast, who) == [("", "silver", "up", True)]
    stands = now(cast, who)
    assert (stands.name, stands.value, stands.next.code, stands.gap) == ("银卡", 120, "gold", 380)
    assert stands.ends_at == (NOON + 364 * DAY).replace(hour=16)  # the brand's midnight after the same day next year


def test_the_tier_counts_from_when_the_order_became_known(cast):
    begin(cast)
    who = cast.contact(at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON - 3 * DAY, 120, received=NOON)
    react(cast, NOON)

    assert spells(cast, who) == [("", "silver", "reached", NOON)]


def test_a_refund_lowers_what_counts_and_takes_nothing_before_the_end(cast):
    begin(cast)
    who = cast.contact(at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON - DAY, 600)
    react(cast, NOON)
    ordered(cast, who, "A1", NOON, 550, type_="order_refunded")
    react(cast, NOON + DAY)
    assert (now(cast, who).name, now(cast, who).value) == ("金卡", 50)

    end = now(cast, who).ends_at
    due(cast, end)

    assert spells(cast, who)[-1] == ("gold", "", "ended", end)
    assert told(cast, who)[-1] == ("gold", "", "down", True)


@pytest.mark.parametrize(("at_end", "then"), [("keep", "gold"), ("one_down", "silver"), ("to_level", "")])
def test_what_becomes_of_a_tier_when_its_time_is_over(cast, at_end, then):
    begin(cast, at_end=at_end)
    who = cast.contact(at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON, 600)
    react(cast, NOON)
    end = now(cast, who).ends_at
    due(cast, end - timedelta(seconds=1))
    assert now(cast, who).tier.code == "gold"
    due(cast, end)

    assert (now(cast, who, end).tier.code if then else now(cast, who, end).tier) == (then or None)


def test_whoever_reaches_it_again_stays(cast):
    begin(cast)
    who = cast.contact(at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON, 600)
    react(cast, NOON)
    end = now(cast, who).ends_at
    ordered(cast, who, "A2", NOON + 200 * DAY, 500)
    react(cast, NOON + 200 * DAY)
    due(cast, end)

    assert [row[1:] for row in spells(cast, who)] == [("gold", "reached", NOON), ("gold", "renewed", end)]
    stands = now(cast, who, end)
    assert stands.since == NOON  # they never left it
    assert len(told(cast, who)) == 1


def test_the_days_of_grace_let_them_make_up_for_it(cast):
    begin(cast, grace_days=30)
    late, lazy = cast.contact("late", at=NOON - 40 * DAY), cast.contact("lazy", at=NOON - 40 * DAY)
    for who in (late, lazy):
        ordered(cast, who, f"A-{who.id}", NOON, 600)
    react(cast, NOON)
    end = now(cast, late).ends_at
    due(cast, end)
    assert now(cast, lazy, end).kept_until == end + 30 * DAY
    ordered(cast, late, "B", end + 3 * DAY, 500)
    react(cast, end + 3 * DAY)
    due(cast, end + 30 * DAY)

    assert spells(cast, late)[-1] == ("gold", "gold", "renewed", end + 3 * DAY)
    assert spells(cast, lazy)[-1] == ("gold", "", "ended", end + 30 * DAY)


def test_an_upgrade_is_protected_from_the_end_of_the_year(cast):
    begin(cast, window="year", protect_days=90)
    who = cast.contact(at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON, 600)
    react(cast, NOON)
    ordered(cast, who, "A1", NOON + DAY, 600, type_="order_refunded")
    react(cast, NOON + DAY)
    new_year = now(cast, who).ends_at
    assert new_year.isoformat() == "2025-12-31T16:00:00+00:00"
    due(cast, new_year)
    assert now(cast, who, new_year).tier.code == "gold"
    due(cast, NOON + 90 * DAY)

    assert spells(cast, who)[-1] == ("gold", "", "ended", NOON + 90 * DAY)


def test_points_that_were_earned_count_and_spending_does_not(cast):
    begin(cast, metric="growth_value")
    who = cast.contact(at=NOON - 40 * DAY)
    with brand_scope(cast.brand.id):
        given = ledger.grant(contact_id=who.id, points=90, key="a", at=NOON - 2 * DAY)
        ledger.spend(contact_id=who.id, points=80, key="b", at=NOON - DAY)
        ledger.grant(contact_id=who.id, points=5000, key="c", at=NOON - DAY, reason="adjust")
        ledger.grant(contact_id=who.id, points=10, key="d", at=NOON)
    react(cast, NOON)
    assert spells(cast, who) == [("", "silver", "reached", NOON)]

    with brand_scope(cast.brand.id):
        with pytest.raises(Refused):
            ledger.reverse(transfer_id=given.transfer_id, note="", at=NOON)
        given = ledger.grant(contact_id=who.id, points=50, key="e", at=NOON)
        ledger.reverse(transfer_id=given.transfer_id, note="", at=NOON + DAY)
    assert now(cast, who, NOON + DAY).value == 100


def test_the_number_of_orders_counts_what_was_not_sent_back(cast):
    begin(cast, metric="order_count", tiers=[("a", "甲", 2)])
    who = cast.contact(at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON - 3 * DAY, 10)
    ordered(cast, who, "A1", NOON - 2 * DAY, 10)  # the same order said twice
    ordered(cast, who, "A2", NOON - 2 * DAY, 10)
    ordered(cast, who, "A1", NOON - 2.5 * DAY, 10, type_="order_refunded")
    react(cast, NOON - DAY)
    assert spells(cast, who) == []
    ordered(cast, who, "A3", NOON, 10)
    react(cast, NOON)

    assert spells(cast, who) == [("", "a", "reached", NOON)]


def test_beginning_looks_at_everybody_and_sets_nothing_off(cast):
    who = cast.contact(at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON - 35 * DAY, 700)
    react(cast, NOON, name="commerce.orders")
    begin(cast, at=NOON)

    assert spells(cast, who) == [("", "gold", "start", NOON)]
    assert told(cast, who) == [("", "gold", "up", False)]


def test_new_rules_raise_at_once_and_take_nothing(cast):
    begin(cast)
    who, gone = cast.contact("a", at=NOON - 40 * DAY), cast.contact("b", at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON - 9 * DAY, 450)
    ordered(cast, gone, "B1", NOON - 9 * DAY, 2500)
    react(cast, NOON - 8 * DAY)
    begin(cast, at=NOON, tiers=[("silver", "银卡", 200), ("gold", "金卡", 400)])

    assert spells(cast, who)[-1] == ("silver", "gold", "rules", NOON)
    assert spells(cast, gone)[-1] == ("black", "gold", "rules", NOON)
    assert told(cast, who)[-1] == ("silver", "gold", "up", False)
    begin(cast, at=NOON + DAY, tiers=[("silver", "银卡", 1000), ("gold", "金卡", 4000)])
    assert now(cast, who).tier.code == "gold"  # until its spell ends


def test_imported_history_counts_and_sets_nothing_off(cast):
    begin(cast)
    who = cast.contact(at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON - 20 * DAY, 700, received=NOON, fires=False, source="import")
    react(cast, NOON)

    assert spells(cast, who) == [("", "gold", "reached", NOON)]
    assert told(cast, who) == [("", "gold", "up", False)]


def test_a_promise_by_hand_holds_from_below_and_gives_back_what_was_under_it(cast):
    begin(cast)
    who = cast.contact(at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON - DAY, 150)
    react(cast, NOON)
    end = now(cast, who).ends_at
    with brand_scope(cast.brand.id):
        until = NOON + 30 * DAY
        floors.promise(contact_id=who.id, tier="gold", until=until, note="补偿", actor=SYSTEM, at=NOON)
    assert (now(cast, who).name, now(cast, who).floor.note) == ("金卡", "补偿")
    due(cast, until)

    assert spells(cast, who)[1:] == [("silver", "gold", "floor", NOON), ("gold", "silver", "floor_ended", until)]
    assert now(cast, who, until).ends_at == end


def test_a_promise_taken_back_ends_at_once_and_one_that_was_earned_stays(cast):
    begin(cast)
    who = cast.contact(at=NOON - 40 * DAY)
    promised = {"contact_id": who.id, "tier": "gold", "until": None, "note": "内部", "actor": SYSTEM}
    with brand_scope(cast.brand.id):
        floors.promise(**promised, at=NOON)
        floors.take_back(contact_id=who.id, actor=SYSTEM, at=NOON + DAY)
        assert tier_of(contact_id=who.id, at=NOON + DAY).tier is None
        with pytest.raises(Refused):
            floors.take_back(contact_id=who.id, actor=SYSTEM, at=NOON + DAY)
        floors.promise(**promised, at=NOON + 2 * DAY)
    ordered(cast, who, "A1", NOON + 3 * DAY, 500)
    react(cast, NOON + 3 * DAY)
    with brand_scope(cast.brand.id):
        floors.take_back(contact_id=who.id, actor=SYSTEM, at=NOON + 4 * DAY)

    assert now(cast, who, NOON + 4 * DAY).tier.code == "gold"
    assert [each[:2] for each in told(cast, who)] == [("", "gold"), ("gold", ""), ("", "gold")]


def test_the_higher_tier_wins_a_merge_and_a_split_gives_back(cast):
    begin(cast)
    rich, poor = cast.contact("rich", at=NOON - 40 * DAY), cast.contact("poor", at=NOON - 40 * DAY)
    ordered(cast, rich, "A1", NOON - 9 * DAY, 450)
    ordered(cast, poor, "B1", NOON - 8 * DAY, 150)
    ordered(cast, poor, "B2", NOON - 7 * DAY, 10)
    react(cast, NOON - 6 * DAY)
    ordered(cast, rich, "A2", NOON - 5 * DAY, 100)
    react(cast, NOON - 5 * DAY)
    before = {who.name: spells(cast, who) for who in (rich, poor)}
    with brand_scope(cast.brand.id):
        rows = list(TierSpell.objects.order_by("contact", "since").values())
        [merge_id] = merging.merge(wanted=[Merged(survivor=poor.id, loser=rich.id)], at=NOON)
    assert spells(cast, poor)[-1] == ("silver", "gold", "merged", NOON)
    ordered(cast, poor, "B3", NOON + DAY, 1500)  # together they are 2210
    react(cast, NOON + DAY)
    assert now(cast, poor, NOON + DAY).tier.code == "black"

    with brand_scope(cast.brand.id):
        merging.split(merge_ids=[merge_id], actor=SYSTEM, at=NOON + 2 * DAY)
        assert list(TierSpell.objects.order_by("contact", "since").values()) == rows
    react(cast, NOON + 2 * DAY)
    assert spells(cast, rich) == before["rich"]
    assert spells(cast, poor) == [*before["poor"], ("silver", "gold", "reached", NOON + DAY)]
    assert told(cast, poor)[-2:] == [("black", "silver", "down", True), ("silver", "gold", "up", True)]


def test_nobody_is_looked_at_who_was_merged_or_erased(cast):
    begin(cast)
    one, other = cast.contact("a", at=NOON - 40 * DAY), cast.contact("b", at=NOON - 40 * DAY)
    ordered(cast, other, "A1", NOON - 9 * DAY, 450)
    react(cast, NOON - 9 * DAY)
    end = now(cast, other).ends_at
    with brand_scope(cast.brand.id):
        merging.merge(wanted=[Merged(survivor=one.id, loser=other.id)], at=NOON)
        assert keeping.look_at_due(at=end) == 1  # the survivor
        assert not keeping.waits(at=end)
    assert len(spells(cast, other)) == 1


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        ({"tier": "gold"}, {"gold"}),
        ({"tier": ["gold", "silver"]}, {"gold", "silver"}),
        ({}, {"gold", "silver"}),
        ({"op": "is_not"}, {"none", "fallen"}),
        ({"op": "is_not", "tier": "gold"}, {"silver", "none", "fallen"}),
        ({"op": "at_least", "tier": "silver"}, {"gold", "silver"}),
        ({"op": "at_least", "tier": "black"}, set()),
        ({"tier": "gold", "days": 3}, {"gold"}),
        ({"days": 3}, {"gold"}),
        ({"op": "is_not", "days": 3}, {"none", "fallen", "silver"}),
    ],
)
def test_segments_ask_for_the_tier(cast, leaf, expected):
    begin(cast)
    people = {name: cast.contact(name, at=NOON - 40 * DAY) for name in ("gold", "silver", "none", "fallen")}
    ordered(cast, people["gold"], "A1", NOON - 9 * DAY, 150)
    ordered(cast, people["gold"], "A2", NOON - 2 * DAY, 600)
    ordered(cast, people["silver"], "A3", NOON - 9 * DAY, 150)
    react(cast, NOON)
    with brand_scope(cast.brand.id):
        floors.promise(
            contact_id=people["fallen"].id, tier="gold", until=None, note="x", actor=SYSTEM, at=NOON - 2 * DAY
        )
        floors.take_back(contact_id=people["fallen"].id, actor=SYSTEM, at=NOON - DAY)
        tree = {"kind": "tier", **leaf}
        segments.check(tree)
        found = {contact.name for contact in segments.sample(tree=tree, at=NOON, limit=9)}
        held = {name for name, who in people.items() if explain(tree, who.id, NOON).held}

    assert found == expected == held


def test_a_tree_names_tiers_that_there_are(cast):
    begin(cast)
    with brand_scope(cast.brand.id):
        for leaf in ({"tier": "platinum"}, {"op": "at_least"}, {"op": "at_least", "tier": ["gold", "silver"]}):
            with pytest.raises(Invalid):
                segments.check({"kind": "tier", **leaf})
        said = segments.sentence({"kind": "tier", "op": "at_least", "tier": "gold", "days": 30})
    assert "金卡" in said


def test_explain_tells_the_tier_of_a_past_moment(cast):
    begin(cast)
    who = cast.contact(at=NOON - 40 * DAY)
    ordered(cast, who, "A1", NOON - 9 * DAY, 150)
    react(cast, NOON - 9 * DAY)
    ordered(cast, who, "A2", NOON - 2 * DAY, 600)
    react(cast, NOON - 2 * DAY)
    with brand_scope(cast.brand.id):
        tree = {"kind": "tier", "tier": "gold"}
        past = explain(tree, who.id, NOON - 3 * DAY, known_at=NOON - 3 * DAY)
        present = explain(tree, who.id, NOON)

    assert (past.held, past.actual["tier"], present.held) == (False, "silver", True)


def test_rules_that_make_no_sense_name_the_place(cast):
    wrong = rules.Wanted("spend", "rolling", "to_level", [("a", "甲", 5), ("a", "", 5)], grace_days=-1)
    with brand_scope(cast.brand.id):
        with pytest.raises(Invalid) as refusal:
            rules.save(wanted=wrong, actor=SYSTEM, at=NOON)
        assert not TierRules.objects.exists()
    places = [error.field for error in refusal.value.errors]
    assert places == ["metric", "grace_days", "tiers[1].code", "tiers[1].name", "tiers[1].threshold"]


def test_erasing_a_person_takes_their_tier(cast):
    from contacts.personal_data import erasure, export

    begin(cast)
    who = cast.contact(at=NOON - 40 * DAY)
    with brand_scope(cast.brand.id):
        floors.promise(contact_id=who.id, tier="gold", until=None, note="补偿", actor=SYSTEM, at=NOON)
        file = export.everything(contact_id=who.id, actor=SYSTEM, at=NOON)["tables"]
        assert {"points_tierspell", "points_tierfloor"} <= set(file)
        erasure.erase(contact_id=who.id, typed_name=who.name, reason="本人要求", actor=SYSTEM, at=NOON)
        assert not TierSpell.objects.exists()
        assert not Contact.objects.filter(pk=who.id).exists()


def test_a_partner_sets_the_rules_and_reads_a_tier(cast):
    who = cast.contact()
    none = cast.alice.api("get", f"/api/v1/points/tier?id={who.id}")
    body = {"metric": "growth_value", "tiers": [{"code": "a", "name": "甲", "threshold": 10}]}
    made = cast.alice.api("put", "/api/v1/points/tiers", body)
    wrong = {**body, "tiers": [*body["tiers"], {"code": "b", "name": "乙", "threshold": 10}]}
    refused = cast.alice.api("put", "/api/v1/points/tiers", wrong)
    grant = {"contact": {"id": str(who.id)}, "points": 4}
    cast.alice.api("post", "/api/v1/points/grants", grant, idempotency_key="G1")
    read = cast.alice.api("get", f"/api/v1/points/tier?id={who.id}").json()
    promise = {"contact": {"id": str(who.id)}, "tier": "a", "note": "补偿"}
    held = cast.alice.api("put", "/api/v1/points/tier/floor", promise).json()
    gone = cast.alice.api("delete", f"/api/v1/points/tier/floor?id={who.id}").json()
    again = cast.alice.api("delete", f"/api/v1/points/tier/floor?id={who.id}")
    first = cast.alice.api("get", f"/api/v1/points/tier/history?id={who.id}&limit=1").json()
    path = f"/api/v1/points/tier/history?id={who.id}&limit=1&cursor={first['next_cursor']}"
    second = cast.alice.api("get", path).json()

    assert (none.status_code, none.json()["code"]) == (404, "tiers.none")
    assert (made.status_code, made.json()["tiers"], made.json()["window"]) == (200, body["tiers"], "rolling")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "tiers[1].threshold")
    assert (read["tier"], read["value"], read["next"]["code"], read["gap"]) == (None, 4, "a", 6)
    assert (held["tier"]["code"], held["floor"]["note"]) == ("a", "补偿")
    assert (gone["tier"], gone["floor"]) == (None, None)
    assert (again.status_code, again.json()["code"]) == (422, "tiers.no_floor")
    assert [item["reason"] for item in first["items"] + second["items"]] == ["floor_ended", "floor"]
    assert second["next_cursor"] is None

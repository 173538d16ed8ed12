"""How pushes follow a merge of contacts: deliveries and what they reserve of the contact's budget.

A push knows a contact once. A push that knew both keeps a row with each, the loser's hidden with it; the survivor's row
tells what counts for the person (campaigns.experiments), so what the rows say changes places if that is the loser's. A
split changes it back. Made since a merge, deliveries go by the external_userid they were sent to.

Caps add up: where two messages of one push were reserved, the person's reservation stands for both."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from campaigns.experiments.one_person import Assigned, of_one_person
from campaigns.models import Delivery, Reservation
from contacts.merging import FROM, Moves, Pairs
from contacts.merging.followers import JOURNAL
from contacts.sets import as_json

CLASH = "campaigns_delivery.clash"
TOUCHES = "campaigns_reservation.touches"

_BY_ID = """i.type = 'external_userid' AND i.value = (
    SELECT c.corpid || ':' || t.external_userid FROM contacts_staff g
    JOIN wecom_corp c ON c.brand_id = g.brand_id AND c.id = g.corp_id
    WHERE g.brand_id = t.brand_id AND g.id = t.staff_id)"""

_EXPOSED = """CASE WHEN {d}.status = 'delivered' THEN coalesce({d}.delivered_at, {d}.updated_at)
    WHEN {d}.status = 'created' OR {d}.status = 'planned' AND {b}.status NOT IN ('pending', 'cancelled', 'refused')
    THEN coalesce({b}.created_at, {b}.claimed_at, {d}.updated_at) END"""
MET = f"""
SELECT p.merge_id, p.loser, p.survivor, s.push_id,
  s.status, s.variant_id, {_EXPOSED.format(d="s", b="sb")}, s.left_out,
  l.status, l.variant_id, {_EXPOSED.format(d="l", b="lb")}, l.left_out, to_jsonb(l), to_jsonb(s)
FROM {FROM}
JOIN campaigns_delivery l ON l.brand_id = %(brand)s AND l.contact_id = p.loser
JOIN campaigns_delivery s ON s.brand_id = %(brand)s AND s.contact_id = p.survivor AND s.push_id = l.push_id
LEFT JOIN campaigns_batch lb ON lb.brand_id = %(brand)s AND lb.id = l.batch_id
LEFT JOIN campaigns_batch sb ON sb.brand_id = %(brand)s AND sb.id = s.batch_id
WHERE NOT EXISTS (SELECT FROM contacts_mergemoved j, jsonb_to_recordset(j.rows) AS k (push_id bigint)
                  WHERE j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{CLASH}'
                    AND k.push_id = l.push_id)
ORDER BY p.merge_id, s.push_id
FOR UPDATE OF l, s
"""  # noqa: S608
_ROWS = """jsonb_to_recordset(%(rows)s) AS k (merge_id bigint, loser bigint, survivor bigint, push_id bigint,
    swapped boolean, once boolean, left_out text, other_left_out text, before jsonb, own_before jsonb)"""
JOURNALLED = f"""
SELECT p.merge_id, p.loser, p.survivor, k.push_id, k.swapped, k.once, k.left_out, k.other_left_out, k.before,
       k.own_before
FROM {FROM}
JOIN contacts_mergemoved j ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{CLASH}'
CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (push_id bigint, swapped boolean, once boolean, left_out text,
    other_left_out text, before jsonb, own_before jsonb)
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Clash:
    """One push that knew both contacts, and what was done about it; as the journal keeps it."""

    merge_id: int
    loser: int
    survivor: int
    push_id: int
    swapped: bool
    once: bool
    left_out: str
    other_left_out: str
    before: dict[str, Any]
    """the loser's row"""
    own_before: dict[str, Any]
    """the survivor's row"""

    def row(self) -> dict[str, Any]:
        """Field by field."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class Deliveries:
    """Deliveries, with the reservations of those that met another."""

    name = "campaigns_delivery"
    _moves = Moves(
        "campaigns_delivery", "campaigns_delivery", [("push_id", "bigint")], unique=[["push_id"]], since=_BY_ID
    )

    def merge(self, pairs: Pairs) -> None:
        """Move; where both were in a push, decide what counts for the person."""
        self._moves.merge(pairs)
        met = [_decided(*row) for row in pairs.ask(MET)]
        if not met:
            return
        journal = f"SELECT k.merge_id, to_jsonb(k) FROM {_ROWS}"  # noqa: S608
        rows = as_json(each.row() for each in met)
        pairs.write(JOURNAL.format(select=journal), kind=CLASH, rows=rows)
        if any(each.swapped for each in met):
            _swap(pairs, met)
        pairs.write(
            f"""UPDATE campaigns_delivery t
                SET left_out = CASE WHEN t.contact_id = k.loser THEN k.other_left_out ELSE k.left_out END,
                    status = CASE WHEN {_TAKEN_OUT} THEN 'suppressed' ELSE t.status END,
                    reason = CASE WHEN {_TAKEN_OUT} THEN 'merged' ELSE t.reason END,
                    updated_at = CASE WHEN {_TAKEN_OUT} THEN %(at)s ELSE t.updated_at END
                FROM {_ROWS}
                WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id IN (k.loser, k.survivor)""",  # noqa: S608
            rows=rows,
        )
        pairs.write(
            f"""UPDATE campaigns_reservation t SET status = 'voided', settled_at = %(at)s FROM {_ROWS}
                WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id = k.loser AND k.once
                  AND t.status = 'reserved'""",  # noqa: S608
            rows=rows,
        )
        _add_up(pairs, rows)

    def split(self, pairs: Pairs) -> None:
        """Back; and back into the push while it is planned or its batch waits, after that it has gone without them."""
        self._moves.split(pairs)
        met = [Clash(*row[:-2], *map(json.loads, row[-2:])) for row in pairs.ask(JOURNALLED)]
        if not met:
            return
        _take_apart(pairs)
        rows = as_json(each.row() for each in met)
        waits = """(EXISTS (SELECT FROM campaigns_batch b WHERE b.brand_id = %(brand)s AND b.id = d.batch_id
                            AND b.status = 'pending')
                    OR d.batch_id IS NULL AND EXISTS (SELECT FROM campaigns_push u WHERE u.brand_id = %(brand)s
                                                      AND u.id = d.push_id AND u.status = 'planning'))"""
        pairs.write(
            f"""UPDATE campaigns_reservation t SET status = 'reserved', settled_at = NULL
                FROM {_ROWS} JOIN campaigns_delivery d
                  ON d.brand_id = %(brand)s AND d.push_id = k.push_id AND d.contact_id = k.loser
                WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id = k.loser
                  AND k.once AND d.reason = 'merged' AND t.status = 'voided' AND {waits}""",  # noqa: S608
            rows=rows,
        )
        pairs.write(
            f"""UPDATE campaigns_delivery d SET status = w.status, reason = w.reason, updated_at = w.updated_at
                FROM {_ROWS}
                CROSS JOIN LATERAL jsonb_populate_record(NULL::campaigns_delivery,
                    CASE WHEN k.swapped THEN k.own_before ELSE k.before END) AS w
                WHERE d.brand_id = %(brand)s AND d.push_id = k.push_id AND d.contact_id = k.loser
                  AND k.once AND d.reason = 'merged' AND {waits}""",  # noqa: S608
            rows=rows,
        )
        if any(each.swapped for each in met):
            _swap(pairs, met)
        pairs.write(
            f"""UPDATE campaigns_delivery t
                SET left_out = CASE WHEN t.contact_id = k.loser THEN k.before ELSE k.own_before END ->> 'left_out'
                FROM {_ROWS}
                WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id IN (k.loser, k.survivor)""",  # noqa: S608
            rows=rows,
        )


_TAKEN_OUT = "(k.once AND t.contact_id = k.loser AND t.status = 'planned')"

RESERVATIONS = Moves(
    "campaigns_reservation",
    "campaigns_reservation",
    [("push_id", "bigint")],
    unique=[["push_id"]],
    also=""" AND NOT EXISTS (SELECT FROM campaigns_delivery d
        WHERE d.brand_id = t.brand_id AND d.push_id = t.push_id AND d.contact_id = t.contact_id)""",
    since="""i.type = 'external_userid' AND EXISTS (
        SELECT FROM campaigns_delivery d
        WHERE d.brand_id = t.brand_id AND d.push_id = t.push_id AND d.contact_id = p.loser)
      AND NOT EXISTS (SELECT FROM campaigns_delivery d
        WHERE d.brand_id = t.brand_id AND d.push_id = t.push_id AND d.contact_id = t.contact_id)""",
)
"""After the deliveries, whose way they go: what is reserved for a row that stays with the loser stays, too."""


def _decided(
    merge_id: int,
    loser: int,
    survivor: int,
    push_id: int,
    status: str,
    variant_id: int | None,
    exposed_at: datetime | None,
    left_out: str,
    other_status: str,
    other_variant_id: int | None,
    other_exposed_at: datetime | None,
    other_left_out: str,
    before: str,
    own_before: str,
) -> Clash:
    verdict = of_one_person(
        Assigned(status, variant_id, exposed_at, left_out),
        Assigned(other_status, other_variant_id, other_exposed_at, other_left_out),
    )
    return Clash(
        merge_id,
        loser,
        survivor,
        push_id,
        verdict.swapped,
        verdict.once,
        verdict.left_out,
        verdict.other_left_out,
        json.loads(before),
        json.loads(own_before),
    )


def _swap(pairs: Pairs, met: list[Clash]) -> None:
    """What the two rows say changes places, with what is reserved for it. Twice is as if never."""
    rows = as_json(each.row() for each in met if each.swapped)
    for model, fixed in ((Delivery, ("left_out",)), (Reservation, ())):
        table = model._meta.db_table
        key = {None, "brand_id", "push_id", "contact_id", *fixed}
        columns = [each.column for each in model._meta.local_fields if each.column not in key]
        values = ", ".join(f"{name} = o.{name}" for name in columns)
        pairs.write(
            f"""UPDATE {table} t SET {values}
                FROM {_ROWS} JOIN {table} o
                  ON o.brand_id = %(brand)s AND o.push_id = k.push_id AND o.contact_id IN (k.loser, k.survivor)
                WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id IN (k.loser, k.survivor)
                  AND t.contact_id <> o.contact_id""",  # noqa: S608
            rows=rows,
        )
    # Reserved for one of the two only: it goes over to the other.
    pairs.write(
        f"""UPDATE campaigns_reservation t
            SET contact_id = CASE WHEN t.contact_id = k.loser THEN k.survivor ELSE k.loser END
            FROM {_ROWS}
            WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id IN (k.loser, k.survivor)
              AND NOT EXISTS (SELECT FROM campaigns_reservation o
                WHERE o.brand_id = %(brand)s AND o.push_id = k.push_id AND o.contact_id <> t.contact_id
                  AND o.contact_id IN (k.loser, k.survivor))""",  # noqa: S608
        rows=rows,
    )


def _add_up(pairs: Pairs, rows: str) -> None:
    """The person's reservation stands for the hidden one's messages, too. What is voided later goes on counting."""
    both = f"""{_ROWS}
        JOIN campaigns_reservation l
          ON l.brand_id = %(brand)s AND l.push_id = k.push_id AND l.contact_id = k.loser AND l.status <> 'voided'
        JOIN campaigns_reservation s
          ON s.brand_id = %(brand)s AND s.push_id = k.push_id AND s.contact_id = k.survivor"""
    select = f"SELECT k.merge_id, jsonb_build_object('push_id', k.push_id, 'touches', l.touches) FROM {both}"  # noqa: S608
    if pairs.write(JOURNAL.format(select=select), kind=TOUCHES, rows=rows):
        pairs.write(
            f"""UPDATE campaigns_reservation t SET touches = t.touches + l.touches FROM {both}
                WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id = k.survivor""",  # noqa: S608
            rows=rows,
        )


def _take_apart(pairs: Pairs) -> None:
    pairs.write(
        f"""UPDATE campaigns_reservation t SET touches = t.touches - k.touches
            FROM {FROM}
            JOIN contacts_mergemoved j ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = '{TOUCHES}'
            CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k (push_id bigint, touches int)
            WHERE t.brand_id = %(brand)s AND t.push_id = k.push_id AND t.contact_id = p.survivor
              AND t.touches > k.touches"""  # noqa: S608
    )

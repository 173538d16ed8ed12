"""What follows a person when two contacts become one, and back when they are split.

Every table with a foreign key to Contact has a follower. Unless an app registers a better one, it is `Moves`: rows of
the loser become the survivor's, but for those that a unique key forbids; these stay with the loser, hidden with it.
Append-only books are left alone: their app says how they follow (points: by transfers)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from django.apps import apps
from django.db import connection, models

from contacts.merging.pairs import FROM, Pairs
from contacts.models import Contact, IdentityConflict, Merge
from tenants.tables import TenantModel

JOURNAL = """
INSERT INTO contacts_mergemoved AS j (brand_id, merge_id, kind, rows)
SELECT %(brand)s, m.merge_id, %(kind)s, jsonb_agg(m.row) FROM ({select}) AS m (merge_id, row) GROUP BY m.merge_id
ON CONFLICT (brand_id, merge_id, kind) DO UPDATE SET rows = j.rows || EXCLUDED.rows
"""


class Follower(Protocol):
    """Set-based, both ways. `name` is the journal's kind. Called in scope, contacts locked, hidden rows shown."""

    @property
    def name(self) -> str:
        """Unique among followers."""
        ...

    def merge(self, pairs: Pairs) -> None:
        """Take the losers' rows to the survivors and journal what is needed to undo it. May run again for pairs
        already merged: rows that were written to the loser meanwhile follow then."""
        ...

    def split(self, pairs: Pairs) -> None:
        """Give the losers back what the journal says, then what was made since and carries one of their identities
        (these are back already)."""
        ...


@dataclass(frozen=True)
class Moves:
    """Rows change hands by an UPDATE of their contact column.

    `unique`: column sets that are unique together with the contact; a row that would clash stays with the loser.
    `since`: a FROM/WHERE tail that joins `i` (identities of the loser `p.loser`) to `t`: rows made since the merge
    that carry an identity, e.g. "i.type = 'unionid' AND i.value = t.unionid"."""

    name: str
    table: str
    key: Sequence[tuple[str, str]]
    """(column, SQL type) that find a row again once its contact is known"""
    column: str = "contact_id"
    unique: Sequence[Sequence[str]] = ()
    since: str = ""
    also: str = field(default="")
    """a further condition on `t` for rows to move"""

    def merge(self, pairs: Pairs) -> None:
        """Journal, then move."""
        mine = f"t.brand_id = %(brand)s AND t.{self.column} = p.loser{self._no_clash('p.survivor')}{self.also}"
        row = ", ".join(f"'{name}', t.{name}" for name, _type in self.key)
        select = f"SELECT p.merge_id, jsonb_build_object({row}) FROM {FROM} JOIN {self.table} t ON {mine}"  # noqa: S608
        if pairs.write(JOURNAL.format(select=select), kind=self.name):
            pairs.write(
                f"UPDATE {self.table} t SET {self.column} = p.survivor FROM {FROM} WHERE {mine}"  # noqa: S608
            )

    def split(self, pairs: Pairs) -> None:
        """By the journal, then by identity."""
        columns = ", ".join(f"{name} {type_}" for name, type_ in self.key)
        found = " AND ".join(f"t.{name} = k.{name}" for name, _type in self.key)
        theirs = f"t.brand_id = %(brand)s AND t.{self.column} = p.survivor{self._no_clash('p.loser')}"
        pairs.write(
            f"""UPDATE {self.table} t SET {self.column} = p.loser
                FROM {FROM}
                JOIN contacts_mergemoved j
                  ON j.brand_id = %(brand)s AND j.merge_id = p.merge_id AND j.kind = %(kind)s
                CROSS JOIN LATERAL jsonb_to_recordset(j.rows) AS k ({columns})
                WHERE {theirs} AND {found}""",  # noqa: S608
            kind=self.name,
        )
        if self.since:
            pairs.write(
                f"""UPDATE {self.table} t SET {self.column} = p.loser
                    FROM {FROM}
                    JOIN contacts_identity i ON i.brand_id = %(brand)s AND i.contact_id = p.loser
                    WHERE {theirs} AND {self.since}"""  # noqa: S608
            )

    def _no_clash(self, target: str) -> str:
        """No row of the target's that a unique key forbids beside `t`."""
        texts = []
        for columns in self.unique:
            same = "".join(f" AND o.{name} = t.{name}" for name in columns)
            texts.append(
                f" AND NOT EXISTS (SELECT FROM {self.table} o WHERE o.brand_id = %(brand)s"
                f" AND o.{self.column} = {target}{same})"
            )
        return "".join(texts)


_registered: dict[str, Follower] = {}
_turns: list[Callable[[int], object]] = []
_tables: dict[str, str] = {}


def register(follower: Follower, *, tables: Sequence[str]) -> None:
    """`follower` speaks for these tables (database names); called in `AppConfig.ready()`."""
    _registered[follower.name] = follower
    _tables.update(dict.fromkeys(tables, follower.name))
    followers.cache_clear()


def wait_for(turn: Callable[[int], object]) -> None:
    """`turn(brand_id)` takes a lock of the brand's until the transaction ends; called in `AppConfig.ready()`.

    For work that writes rows of many contacts in an order of its own (a plan's range, a look at segments): a merge
    waits for it before it locks the first contact, so that the two do not wait for each other."""
    _turns.append(turn)


def hold_turns(brand: int) -> None:
    """Take them all, in the order they were registered. Scoped; before any row is locked."""
    for turn in _turns:
        turn(brand)


@cache
def followers() -> tuple[Follower, ...]:
    """All of them: identities first, since the others ask whose identity a row carries; then in order of name."""
    defaults = [_default(model, column) for model, column in _tied() if model._meta.db_table not in _tables]
    chosen = sorted([*_registered.values(), *defaults], key=lambda each: each.name)
    return tuple(sorted(chosen, key=lambda each: each.name != "contacts_identity"))


def spoken_for() -> dict[str, str]:
    """Table → follower, for every table that is tied to contacts."""
    return {model._meta.db_table: model._meta.db_table for model, _column in _tied()} | _tables


def _tied() -> list[tuple[type[TenantModel], str]]:
    """Models whose rows belong to a contact and may be changed, and their column."""
    own = {Contact, IdentityConflict, Merge}
    found = []
    for model in apps.get_models():
        if not issubclass(model, TenantModel) or model in own or model.append_only:
            continue
        columns = [str(f.column) for f in model._meta.local_fields if f.is_relation and f.related_model is Contact]
        found += [(model, column) for column in columns]
    return found


def _default(model: type[TenantModel], column: str) -> Moves:
    """By the model's keys: what is unique together with the contact may clash, the rest of the key finds the row."""
    meta = model._meta
    of_pk = [str(each.column) for each in meta.pk_fields]
    unique = [tuple(of_pk)] if column in of_pk else []
    for constraint in meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            # A condition of the constraint is not looked at: a row too many stays behind rather than one too few.
            unique.append(tuple(_column(model, name) for name in constraint.fields))
    clashing = [tuple(n for n in names if n not in ("brand_id", column)) for names in unique if column in names]
    types = {str(each.column): str(each.rel_db_type(connection)) for each in meta.pk_fields}
    key = [(name, types[name]) for name in of_pk if name not in ("brand_id", column)]
    return Moves(meta.db_table, meta.db_table, key or [("brand_id", "bigint")], column, clashing)


def _column(model: type[TenantModel], name: str) -> str:
    return str(model._meta.get_field(name).column)  # type: ignore[union-attr]

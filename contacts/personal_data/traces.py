"""Finding a person in texts that no key ties to them: callbacks, the audit trail, stored answers, imported files.

A text names a person when a word that is theirs (an identity's value, a phone number, an external_userid) stands in it
as a whole: `1001` is not found in `21001`. Words of fewer than eight characters could stand there for anything else (a
member number is also a year), so they count only as a whole value, in quotation marks."""

import json
import re
from collections.abc import Sequence
from typing import Any

from contacts.models import Contact, Follow, Identity
from contacts.sets import execute, touched

SURE = 8
"""from so many characters on, a word is nobody else's"""
NOBODY = r"(?!)"
"""matches nothing"""


def words_of(ids: Sequence[int]) -> list[str]:
    """What texts may know these contacts by: identities, with and without their corp or app, phones. Hidden ones must
    be shown (contacts.gone)."""
    values = list(Identity.objects.filter(contact__in=ids).values_list("value", flat=True))
    words = {*values, *(value.partition(":")[2] for value in values if ":" in value)}
    words |= set(Follow.objects.filter(contact__in=ids).values_list("external_userid", flat=True))
    words |= set(Contact.objects.filter(pk__in=ids).values_list("phone", flat=True))
    return sorted(word for word in words if word)


def pattern(words: Sequence[str]) -> str:
    """A regular expression of PostgreSQL's for the text of JSON that names the person."""
    spelled = [re.sub(r"([^0-9A-Za-z\u0080-\uffff])", r"\\\1", _in_json(word)) for word in words]
    long = "|".join(each for word, each in zip(words, spelled, strict=True) if len(word) >= SURE)
    short = "|".join(each for word, each in zip(words, spelled, strict=True) if len(word) < SURE)
    found = []
    if long:
        found.append(f"(?:^|[^0-9A-Za-z_-])(?:{long})(?:$|[^0-9A-Za-z_-])")
    if short:
        found.append(f'"(?:{short})"')
    return "|".join(found) or NOBODY


def holding(words: Sequence[str]) -> list[str]:
    """For LIKE ANY: texts in which one of the words stands somehow. The expression is asked only of these."""
    return ["%" + re.sub(r"([\\%_])", r"\\\1", _in_json(word)) + "%" for word in words]


def _in_json(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)[1:-1]


def told_by_inbox(*, brand: int, words: Sequence[str]) -> list[dict[str, Any]]:
    """The callbacks that name the person, as they came."""
    rows = execute(
        """SELECT event, change_type, payload, received_at FROM wecom_inboxitem
           WHERE brand_id = %(brand)s AND payload::text LIKE ANY (%(holding)s::text[]) AND payload::text ~ %(pattern)s
           ORDER BY received_at, id""",
        brand=brand,
        holding=holding(words),
        pattern=pattern(words),
    )
    return [dict(zip(("event", "change_type", "payload", "received_at"), row, strict=True)) for row in rows]


def in_inbox(*, brand: int, words: Sequence[str]) -> int:
    """Callbacks about the person keep their kind and time, and lose what they say. How many."""
    return touched(
        """UPDATE wecom_inboxitem SET payload = '{"erased": true}', error = ''
           WHERE brand_id = %(brand)s AND payload::text LIKE ANY (%(holding)s::text[])
             AND payload::text ~ %(pattern)s""",
        brand=brand,
        holding=holding(words),
        pattern=pattern(words),
    )


def in_answers(*, brand: int, words: Sequence[str], ids: Sequence[int]) -> int:
    """Answers kept for repeats of a call that named the person, by word or by number, are given no more. How many."""
    return touched(
        """DELETE FROM tenants_idempotentresponse
           WHERE brand_id = %(brand)s AND response::text LIKE ANY (%(holding)s::text[])
             AND (response::text ~ %(pattern)s OR response::text ~ %(numbers)s)""",
        brand=brand,
        holding=holding([*words, *(str(number) for number in ids)]),
        pattern=pattern(words),
        numbers=numbers(ids),
    )


def in_audit(*, words: Sequence[str] = (), ids: Sequence[int] = (), objects: Sequence[str] = ()) -> int:
    """The trail keeps who did what and when; values of acts on these objects, or that name the person, go. How many.

    An object is `contact:17`, as the trail's own columns say."""
    if not words and not ids and not objects:
        return 0
    told = execute(
        "SELECT forget_in_audit(%(pattern)s, %(objects)s::text[])",
        pattern=f"{pattern(words)}|{numbers(ids)}",
        objects=list(objects),
    )
    return int(told[0][0])


def numbers(ids: Sequence[int]) -> str:
    """A regular expression for JSON text in which a key that is called after contacts has one of the numbers."""
    if not ids:
        return NOBODY
    some = "|".join(str(number) for number in ids)
    return rf'"(?:contact|loser|survivor|other)(?:_id)?": "?(?:{some})(?:[^0-9]|$)'

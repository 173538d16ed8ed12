"""How a telling ended: our state and the simulator's journal, in names that two tellings share, to be compared."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Sum

from bench.soak.telling import Telling
from campaigns.models import Delivery, GroupDelivery, Push, Reservation
from contacts.models import Contact, Follow, GroupChat, GroupMember, Reconciliation, Staff
from events.models import Event
from tagging.models import ContactTag


@dataclass
class Ending:
    """How a telling ended."""

    digest: dict[str, str]
    """of each part of our state"""
    state: dict[str, list[Any]]
    """the same in full, to see what differs"""
    twice: list[str]
    """receipts that the simulator's journal shows more than once"""
    received: int
    injected: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    """what our side met and went on after, by what it was called there"""


def _state(telling: Telling) -> dict[str, list[Any]]:
    """What we hold, by names that do not depend on when or how often it was written."""
    with telling.scope():
        follows = Follow.objects.filter(staff__corp=telling.corp)
        names = follows.values_list("contact_id", "external_userid").order_by("external_userid")
        known: dict[int | None, str] = dict(names)
        members = GroupMember.objects.filter(chat__corp=telling.corp, left_at=None, chat__dismissed_at=None)
        groups = GroupChat.objects.filter(corp=telling.corp, dismissed_at=None)
        mended = Reconciliation.objects.aggregate(added=Sum("added"), lost=Sum("lost"))
        telling.survived["mended by comparing lists"] = (mended["added"] or 0) + (mended["lost"] or 0)
        told = Event.objects.exclude(contact_id=None).values_list("type", "contact_id", "props__reason")
        return {
            "staff": _sorted(
                Staff.objects.filter(corp=telling.corp).values_list("userid", "name", "is_guide", "store__name")
            ),
            "friendships": _sorted(
                (userid, external, remark, state, lost_at is None, by)
                for userid, external, remark, state, lost_at, by in follows.values_list(
                    "staff__userid", "external_userid", "remark", "state", "lost_at", "lost_by"
                )
            ),
            "contacts": _sorted(
                (known.get(pk), name, guide, state, lost_at is None)
                for pk, name, guide, state, lost_at in Contact.objects.values_list(
                    "pk", "name", "main_guide__userid", "source_state", "lost_at"
                )
            ),
            "tags": _sorted(
                (known.get(contact), group, name)
                for contact, group, name in ContactTag.objects.values_list("contact_id", "tag__group", "tag__name")
            ),
            "groups": _sorted(groups.values_list("chat_id", "name", "owner__userid", "member_count")),
            "members": _sorted(members.values_list("chat__chat_id", "member_id", "kind")),
            "deliveries": _sorted(
                (push, known.get(contact), status, reason)
                for push, contact, status, reason in Delivery.objects.values_list(
                    "push__name", "contact_id", "status", "reason"
                )
            ),
            "group deliveries": _sorted(
                GroupDelivery.objects.values_list("push__name", "chat__chat_id", "status", "reason")
            ),
            "budget": _sorted(
                (push, known.get(contact), status)
                for push, contact, status in Reservation.objects.values_list("push__name", "contact_id", "status")
            ),
            "pushes": _sorted(Push.objects.values_list("name", "status")),
            "events": _sorted((kind, known.get(contact), reason) for kind, contact, reason in told),
        }


def _marked(telling: Telling) -> Iterator[tuple[str, str, str, str]]:
    """(guide, customer, group of tags, tag) as WeCom has them, shadows without our key in their name."""
    named = {tag.id: (group.name, tag.name.split("#")[0]) for group in telling.wecom.corp_tags() for tag in group.tags}
    for person in telling.people():
        for follow in person["follows"]:
            for wecom_id in follow["tags"]:
                yield (follow["userid"], person["external_userid"], *named[wecom_id])


def ended(telling: Telling, injected: Counter[str]) -> Ending:
    """Compare-ready."""
    state = _state(telling)
    state["tags in WeCom"] = _sorted(_marked(telling))
    receipts = Counter(
        (row["kind"], row["text"], row["external_userid"], row.get("chat_id") or "")
        for row in telling.simulator.journal(corpid=telling.corpid)
    )
    state["received"] = _sorted(receipts)
    digest = {
        part: hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()[:12]
        for part, rows in state.items()
    }
    twice = [f"{number} × {what}" for what, number in receipts.items() if number > 1]
    return Ending(digest, state, twice, sum(receipts.values()), injected, telling.survived)


def differences(peaceful: Ending, troubled: Ending) -> list[str]:
    """What is not the same in the two, with some of the rows."""
    found = []
    for part, rows in peaceful.state.items():
        other = troubled.state[part]
        if rows != other:
            missing = [row for row in rows if row not in other][:3]
            extra = [row for row in other if row not in rows][:3]
            found.append(f"{part}: {len(rows)} and {len(other)}; only in peace {missing}, only in trouble {extra}")
    return found


def table(ending: Ending) -> str:
    """What was injected and what survived, as text in columns."""
    lines = [f"{'injected':28}{'times':>6}", "-" * 34]
    lines += [f"{what:28}{number:6}" for what, number in sorted(ending.injected.items())]
    lines += [f"{'in all':28}{sum(ending.injected.values()):6}", "", f"{'met by our loops':28}{'times':>6}", "-" * 34]
    lines += [f"{what:28}{number:6}" for what, number in sorted(ending.survived.items())]
    lines += ["", f"{'part of our state':28}{'rows':>6}  digest", "-" * 48]
    lines += [f"{part:28}{len(ending.state[part]):6}  {digest}" for part, digest in ending.digest.items()]
    lines.append(f"{'received twice':28}{len(ending.twice):6}")
    return "\n".join(lines)


def _sorted(rows: Any) -> list[Any]:
    return sorted((list(row) for row in rows), key=lambda row: [str(cell) for cell in row])

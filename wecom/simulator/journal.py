"""What was actually received: one row per customer (or chat) and message, in the order it happened."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wecom.simulator import content

KINDS = ("single", "group", "moment", "welcome", "app", "notice")
ONCE_ONLY = ("single", "group", "moment")  # kinds in which the same content twice is a mistake


@dataclass(slots=True)
class Row:
    """One receipt. `fingerprint` names the content. `sender` is the guide, for `app` the agentid."""

    seq: int
    corpid: str
    kind: str
    external_userid: str
    chat_id: str
    sender: str
    source_id: str  # msgid or moment_id
    at: int
    fingerprint: str
    member_count: int = 0

    @property
    def receiver(self) -> str:
        """Who got it: the chat, or the person."""
        return self.chat_id or self.external_userid


class Journal:
    """Append-only rows, contents kept once each, and a running count of repeats."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.contents: dict[str, content.Content] = {}
        self._by_receiver: defaultdict[str, list[int]] = defaultdict(list)
        self._received: Counter[tuple[str, str, str]] = Counter()
        self._repeats: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._per_source: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def keep(self, text: str, attachments: list[dict[str, Any]]) -> str:
        """Remember a content and return its fingerprint."""
        mark = content.fingerprint(text, attachments)
        self.contents.setdefault(mark, (text, attachments))
        return mark

    def record(
        self,
        *,
        corpid: str,
        kind: str,
        sender: str,
        at: int,
        fingerprint: str,
        external_userid: str = "",
        chat_id: str = "",
        source_id: str = "",
        member_count: int = 0,
    ) -> None:
        """Write that a customer, chat or member received something."""
        seq = len(self.rows) + 1
        self.add(Row(seq, corpid, kind, external_userid, chat_id, sender, source_id, at, fingerprint, member_count))

    def add(self, row: Row) -> None:
        """Append a row (also when a snapshot is read)."""
        self.rows.append(row)
        self._by_receiver[row.receiver].append(row.seq)
        self._kinds[row.corpid][row.kind] += 1
        self._per_source[row.corpid][row.source_id] += 1
        if row.kind in ONCE_ONLY:
            key = (row.corpid, row.receiver, row.fingerprint)
            self._received[key] += 1
            if self._received[key] > 1:
                self._repeats[row.corpid][row.source_id] += 1

    def read(
        self, *, corpid: str | None, kind: str | None, external_userid: str | None, after: int, limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """(items, next_after): rows later than `after` that match; `next_after` is the last row looked at."""
        items: list[dict[str, Any]] = []
        seen = after
        for row in self._candidates(external_userid, after):
            if len(items) >= limit:
                return items, seen
            seen = row.seq
            if (corpid is None or row.corpid == corpid) and (kind is None or row.kind == kind):
                items.append(self.describe(row))
        return items, len(self.rows) if external_userid is None else seen

    def received_by(self, external_userid: str) -> list[Row]:
        """All rows of one receiver, oldest first."""
        return [self.rows[seq - 1] for seq in self._by_receiver.get(external_userid, ())]

    def summary(self, corpid: str) -> dict[str, Any]:
        """Counts per kind, and how many receipts repeated a content the receiver had (welcomes do not count)."""
        repeats = self._repeats[corpid]
        return {
            "corpid": corpid,
            "kinds": {kind: self._kinds[corpid][kind] for kind in KINDS},
            "total": sum(self._kinds[corpid].values()),
            "duplicates": sum(repeats.values()),
            "sources": {
                source: {"received": count, "duplicates": repeats[source]}
                for source, count in self._per_source[corpid].items()
                if source
            },
        }

    def describe(self, row: Row) -> dict[str, Any]:
        """A row as the control surface tells it."""
        text, attachments = self.contents[row.fingerprint]
        is_moment = row.kind == "moment"
        return {
            "seq": row.seq,
            "corpid": row.corpid,
            "kind": row.kind,
            "external_userid": row.external_userid if row.kind != "app" else "",
            "userid": row.external_userid if row.kind == "app" else "",
            "chat_id": row.chat_id,
            "member_count": row.member_count,
            "sender": row.sender,
            "msgid": "" if is_moment else row.source_id,
            "moment_id": row.source_id if is_moment else "",
            "at": row.at,
            "text": text,
            "attachments": attachments,
            "fingerprint": row.fingerprint,
        }

    def _candidates(self, external_userid: str | None, after: int) -> Iterator[Row]:
        if external_userid is None:
            for place in range(after, len(self.rows)):
                yield self.rows[place]
            return
        for seq in self._by_receiver.get(external_userid, ()):
            if seq > after:
                yield self.rows[seq - 1]

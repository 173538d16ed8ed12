"""Full sync: everything WeCom lists of a corp's staff, customers and groups, read in steps that can stop at any point.

A run reads the directory, then the customers of all guides in chunks of at most 100 guides, then the groups. What is
written and how far the chunk was read are one transaction, so whoever goes on goes on at the cursor. Nothing is taken
for lost before a chunk was read to its end, and then only if a second list, the guide's own, lacks it as well.

Two workers on one run do no harm: the cursor moves only from where its mover read on, and the other one stops."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils.translation import gettext as _

from contacts import directory, follows, groups, turns
from contacts.models import Contact, Follow, GroupChat, GroupMember, Identity, Staff, SyncChunk, SyncRun
from contacts.reading import Portion, portions
from contacts.rounds import people, rooms
from contacts.rounds.tally import Tally
from contacts.sets import execute
from scrm.lib.errors import Conflict, found
from tenants import statistics
from tenants.scope import brand_scope
from wecom.client import WeComClient
from wecom.errors import Misconfigured, Rejected, Throttled, Unreachable, WeComError
from wecom.models import Corp
from wecom.policy import NO_LICENCE
from wecom.types import GroupDetail

logger = logging.getLogger(__name__)

GUIDES_PER_CHUNK = 100
PAIRS_PER_WRITE = 1000
WRITES_PER_STEP = 50
GROUPS_PER_STEP = 40
GROUPS_AT_ONCE = 4
"""calls under way at a time"""
MOST_GUIDES_AT_ONCE = 1000
"""above this WeCom lists groups only by owner"""
SYNCED = (Contact, Identity, Follow, GroupChat, GroupMember)
"""the tables that a first sync fills from nothing"""
ATTEMPTS = 5
"""tries of a chunk before the run goes on without it"""
STALE = timedelta(days=2)


class Overtaken(Conflict):
    """Another worker moved this run on; what we had read was not written."""

    code = "contacts.sync_overtaken"


def start(*, brand_id: int, corp_id: int, at: datetime) -> int:
    """The id of the corp's running sync, or of a new one. Opens its own scope. Raises NotFound for another's corp.

    A run that has been lying about for two days is given up."""
    with brand_scope(brand_id):
        corp = found(Corp.objects.filter(pk=corp_id).select_for_update(of=("self",)))
        running = SyncRun.objects.filter(corp=corp, status=SyncRun.Status.RUNNING)
        running.filter(started_at__lt=at - STALE).update(status=SyncRun.Status.FAILED, finished_at=at)
        run = running.order_by("id").last()
        if run is None:
            first = not SyncRun.objects.filter(corp=corp, counts__customers_complete=True).exists()
            run = SyncRun.objects.create(corp=corp, started_at=at, counts={"first": first})
            logger.info("contacts.sync.started", extra={"brand": brand_id, "corp": corp_id, "run": run.id})
        return run.id


def run_to_end(*, brand_id: int, run_id: int, wecom: WeComClient, at: datetime) -> SyncRun:
    """Advance the run until it is over; the finished run. Opens its own scopes, and waits for a worker who is on it.

    Raises the WeComError that stopped it; calling again goes on from there."""
    more = True
    while more:
        while turns.somebody_else(run_id):
            time.sleep(0.2)
        try:
            more = advance(brand_id=brand_id, run_id=run_id, wecom=wecom, at=at)
        except Overtaken:
            time.sleep(0.2)
    with brand_scope(brand_id):
        return found(SyncRun.objects.filter(pk=run_id))


def advance(*, brand_id: int, run_id: int, wecom: WeComClient, at: datetime, writes: int = WRITES_PER_STEP) -> bool:
    """Do the run's next step: the directory, or up to `writes` thousand pairs of one chunk, or some groups.

    Opens its own scopes. False when the run is over. Raises Throttled and Unreachable; the run stays and can be
    advanced later. WeCom's refusal to show the directory ends the run, its refusal to show the groups makes it partial;
    so does a chunk that failed too often."""
    with brand_scope(brand_id):
        run = found(SyncRun.objects.filter(pk=run_id).select_related("corp"))
        chunk = _next_chunk(run)
    if run.status != SyncRun.Status.RUNNING:
        return False
    turns.claim(run_id)
    step = _Step(run=run, corp=run.corp, wecom=wecom, at=at)
    try:
        if "guides" not in run.counts:
            step.read_directory()
        elif chunk:
            step.read_chunk(chunk, writes=writes)
        elif "groups" not in run.counts:
            step.list_groups()
        elif not step.read_groups():
            step.finish()
            return False
    except (Misconfigured, Rejected) as trouble:
        step.end(SyncRun.Status.FAILED, error=f"{trouble.problem_code}: {trouble.detail}")
        return False
    except WeComError as trouble:
        with brand_scope(brand_id):
            SyncRun.objects.filter(pk=run_id).update(error=str(trouble))
        raise
    return True


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of a run, with what every part of it needs."""

    run: SyncRun
    corp: Corp
    wecom: WeComClient
    at: datetime

    @property
    def is_first(self) -> bool:
        """Whether the corp has never been read to the end: then what the run finds is no news."""
        return bool(self.run.counts.get("first", True))

    def read_directory(self) -> None:
        """Stores and staff, and the chunks of guides to read."""
        departments = self.wecom.departments()
        members = {m.userid: m for each in departments for m in self.wecom.department_users(department_id=each.id)}
        guides = self.wecom.follow_users()
        seen = directory.Directory(departments, list(members.values()), frozenset(guides))
        tally = Tally()
        renamed = people.renames(self.corp, gone=self._unseen(seen), came=guides, wecom=self.wecom, tally=tally)
        with brand_scope(self.corp.brand_id):
            for old, new in renamed.items():
                directory.rename(corp=self.corp, old=old, new=new)
            counted = directory.store(corp=self.corp, seen=seen, at=self.at)
            chunks = [
                SyncChunk(
                    brand_id=self.corp.brand_id,
                    run=self.run,
                    position=place // GUIDES_PER_CHUNK,
                    userids=guides[place : place + GUIDES_PER_CHUNK],
                )
                for place in range(0, len(guides), GUIDES_PER_CHUNK)
            ]
            SyncChunk.objects.bulk_create(chunks, ignore_conflicts=True)
            _count(self.run.id, put=counted, calls=len(departments) + 2 + tally.calls)

    def _unseen(self, seen: directory.Directory) -> list[Staff]:
        """Guides of ours whom WeCom no longer shows: they have left, or have another userid."""
        shown = {member.userid.lower() for member in seen.members} | {userid.lower() for userid in seen.guides}
        with brand_scope(self.corp.brand_id):
            ours = list(Staff.objects.filter(corp=self.corp, is_guide=True, left_at=None).order_by("id"))
        return [row for row in ours if row.userid.lower() not in shown]

    def read_chunk(self, chunk: SyncChunk, *, writes: int) -> None:
        """The customers of the chunk's guides, from its cursor on; when all are read, the losses."""
        try:
            if self._read_pages(chunk, writes=writes):
                self._complete(chunk)
        except Misconfigured as refusal:
            if refusal.problem_code != NO_LICENCE:
                raise
            # None of these guides has one, of others some may: the run goes on, and says so.
            self._complete(chunk, error=_said(refusal))
        except Rejected as refusal:
            self._failed(chunk, refusal)
            # Somebody who is no longer a guide makes WeCom refuse the whole list.
            self._drop_former_guides(chunk)
        except (Throttled, Unreachable) as trouble:
            self._failed(chunk, trouble, counts=isinstance(trouble, Unreachable))
            raise

    def _read_pages(self, chunk: SyncChunk, *, writes: int) -> bool:
        """Read and write up to `writes` portions; whether that was the end of the list."""
        given, ended = 0, False
        coming = portions(
            self.wecom, self.corp, userids=chunk.userids, cursor=chunk.cursor, size=PAIRS_PER_WRITE, most=writes
        )
        with closing(coming):
            for portion in coming:
                self._write(chunk, portion)
                given, ended = given + 1, portion.is_last
        # Nobody to ask about: the chunk's guides are all gone.
        return ended or given == 0

    def _write(self, chunk: SyncChunk, portion: Portion) -> None:
        """One portion's rows and the move of the cursor, in one transaction."""
        brand_id = self.corp.brand_id
        is_opening = self.is_first and chunk.position == 0 and not chunk.cursor
        with brand_scope(brand_id):
            mine = SyncChunk.objects.filter(pk=chunk.pk, cursor=chunk.cursor, completed_at=None)
            seen_before = F("follows_seen") if chunk.cursor else 0
            if not mine.update(cursor=portion.cursor, follows_seen=seen_before + len(portion.listed.pairs), error=""):
                raise Overtaken(_("另一个进程正在同步。"))
            made = follows.befriend(
                corp=self.corp,
                listed=portion.listed,
                read_at=self.run.started_at,
                at=self.at,
                run_id=self.run.id,
                first_run=self.is_first,
            )
            _count(
                self.run.id,
                contacts_created=made.created,
                follows_added=len(made.new),
                follows_revived=len(made.revived),
                follows_doubled=len(portion.listed.pairs) - made.stored,
                calls=portion.calls,
            )
        if is_opening:
            # A session plans the look-ups of foreign keys once. In a database that was empty it would walk all of the
            # brand's rows for each row it writes, three times the work at 20,000 contacts and more with every one.
            statistics.refresh(SYNCED)
        chunk.cursor = portion.cursor
        turns.claim(self.run.id)

    def _complete(self, chunk: SyncChunk, *, error: str = "") -> None:
        """The chunk was read to its end: what it lacks was deleted by the guides. `error`: why WeCom showed less."""
        lost = calls = 0
        for staff_id, userid, _number in self._missing(chunk):
            try:
                listed = self.wecom.external_userids(userid=userid)
            except (Misconfigured, Rejected) as refusal:
                if isinstance(refusal, Misconfigured) and refusal.problem_code != NO_LICENCE:
                    raise
                logger.warning("contacts.sync.unconfirmed", extra={"staff": staff_id, "reason": refusal.problem_code})
                continue
            calls += 1
            with brand_scope(self.corp.brand_id):
                lost += follows.sweep(
                    staff_id=staff_id,
                    run_id=self.run.id,
                    began_at=self.run.started_at,
                    listed=listed,
                    at=self.at,
                )
            turns.claim(self.run.id)
        doubted = sum(number for _staff_id, _userid, number in self._missing(chunk))
        with brand_scope(self.corp.brand_id):
            if SyncChunk.objects.filter(pk=chunk.pk, completed_at=None).update(completed_at=self.at, error=error):
                _count(self.run.id, follows_lost=lost, follows_doubted=doubted, calls=calls)

    def _missing(self, chunk: SyncChunk) -> list[tuple[int, str, int]]:
        """(staff id, userid, number) of friendships older than the run that it did not see."""
        with brand_scope(self.corp.brand_id):
            return [
                (staff_id, userid, number)
                for staff_id, userid, number in execute(
                    """SELECT g.id, g.userid, count(*) FROM contacts_staff g
                       JOIN contacts_follow f ON f.brand_id = g.brand_id AND f.staff_id = g.id
                       WHERE g.brand_id = %(brand)s AND g.corp_id = %(corp)s AND g.userid = ANY (%(userids)s)
                         AND f.seen_run < %(run)s AND f.lost_at IS NULL AND f.added_at < %(began)s
                       GROUP BY g.id, g.userid ORDER BY g.id""",
                    brand=self.corp.brand_id,
                    corp=self.corp.id,
                    userids=chunk.userids,
                    run=self.run.id,
                    began=self.run.started_at,
                )
            ]

    def _failed(self, chunk: SyncChunk, trouble: WeComError, *, counts: bool = True) -> None:
        """Remember a failed try. A cursor that WeCom no longer takes means: from the beginning."""
        logger.warning("contacts.sync.chunk_failed", extra={"chunk": chunk.pk, "reason": trouble.problem_code})
        with brand_scope(self.corp.brand_id):
            SyncChunk.objects.filter(pk=chunk.pk, completed_at=None).update(
                attempts=F("attempts") + int(counts),
                error=_said(trouble),
                **({"cursor": ""} if isinstance(trouble, Rejected) else {}),
            )

    def _drop_former_guides(self, chunk: SyncChunk) -> None:
        guides = set(self.wecom.follow_users())
        still = [userid for userid in chunk.userids if userid in guides]
        if len(still) < len(chunk.userids):
            with brand_scope(self.corp.brand_id):
                SyncChunk.objects.filter(pk=chunk.pk, completed_at=None).update(userids=still, cursor="")

    def list_groups(self) -> None:
        """Enter all groups by id; those no longer listed are dismissed."""
        owners = self._owners()
        try:
            listed, calls = self._listed_groups(owners)
        except (Misconfigured, Rejected) as refusal:  # an app may be allowed customers and not groups
            with brand_scope(self.corp.brand_id):
                _count(self.run.id, put={"groups": 0, "groups_error": refusal.problem_code})
            return
        with brand_scope(self.corp.brand_id):
            ours = GroupChat.objects.filter(corp=self.corp)
            unlisted = set(ours.filter(dismissed_at=None).values_list("chat_id", flat=True)) - set(listed)
        # No group is dissolved on one list's word: asked by owner, say, WeCom does not tell those of former guides.
        gone = rooms.vanished(self.wecom, sorted(unlisted))
        calls += len(unlisted)
        with brand_scope(self.corp.brand_id):
            groups.dismiss(corp=self.corp, chat_ids=gone, at=self.at)
            ours.filter(chat_id__in=listed).exclude(dismissed_at=None).update(dismissed_at=None)
            new = [GroupChat(brand_id=self.corp.brand_id, corp=self.corp, chat_id=each) for each in listed]
            GroupChat.objects.bulk_create(new, ignore_conflicts=True, batch_size=5000)
            _count(self.run.id, put={"groups": len(listed)}, calls=calls)

    def _listed_groups(self, owners: list[list[str]]) -> tuple[list[str], int]:
        """(chat ids, calls made)."""
        listed: list[str] = []
        calls = 0
        for some in owners:
            cursor: str | None = ""
            while cursor is not None:
                page = self.wecom.group_chats(owners=some, cursor=cursor)
                listed += [each.chat_id for each in page]
                calls += 1
                cursor = page.next_cursor or None
        return listed, calls

    def _owners(self) -> list[list[str]]:
        """Whose groups to ask for: everybody's in one list, unless WeCom would refuse that (api-reference §11.1)."""
        if self.run.counts["guides"] <= MOST_GUIDES_AT_ONCE:
            return [[]]
        with brand_scope(self.corp.brand_id):
            chunks = SyncChunk.objects.filter(run=self.run).order_by("position")
            return list(chunks.values_list("userids", flat=True))

    def read_groups(self) -> bool:
        """The next groups with their members; whether there were any."""
        if "groups_error" in self.run.counts:
            return False
        with brand_scope(self.corp.brand_id):
            wanted = groups.unread(corp=self.corp, run_id=self.run.id, limit=GROUPS_PER_STEP)
            before = groups.known(corp=self.corp, chat_ids=wanted)
        if not wanted:
            return False
        with ThreadPoolExecutor(max_workers=GROUPS_AT_ONCE) as readers:
            answers = list(readers.map(self._read_group, wanted))
        details = [each for each in answers if each is not None]
        refused = [chat_id for chat_id, each in zip(wanted, answers, strict=True) if each is None]
        with brand_scope(self.corp.brand_id):
            now = groups.known(corp=self.corp, chat_ids=wanted, lock=True)
            # What a callback has told more of since is read again in the next step.
            details = [each for each in details if now.get(each.chat_id) == before.get(each.chat_id)]
            members = groups.store(
                corp=self.corp, groups=details, at=self.at, run_id=self.run.id, announce=not self.is_first
            )
            GroupChat.objects.filter(corp=self.corp, chat_id__in=refused).update(seen_run=self.run.id)
            _count(self.run.id, group_members=members, groups_refused=len(refused), calls=len(wanted))
        turns.claim(self.run.id)
        return True

    def _read_group(self, chat_id: str) -> GroupDetail | None:
        """None for a group that was dismissed since the list was read, or is out of our range."""
        try:
            return self.wecom.group_chat(chat_id=chat_id)
        except Rejected:
            return None

    def finish(self) -> None:
        """Compare what WeCom listed with what we hold, and close the run."""
        with brand_scope(self.corp.brand_id):
            chunks = list(SyncChunk.objects.filter(run=self.run))
            counts = found(SyncRun.objects.filter(pk=self.run.pk)).counts
            stored, externals, contacts = execute(
                """SELECT count(*), count(DISTINCT f.external_userid), count(DISTINCT f.contact_id)
                   FROM contacts_follow f
                   JOIN contacts_staff g ON g.brand_id = f.brand_id AND g.id = f.staff_id AND g.corp_id = %(corp)s
                   WHERE f.brand_id = %(brand)s AND f.seen_run = %(run)s""",
                corp=self.corp.id,
                brand=self.corp.brand_id,
                run=self.run.id,
            )[0]
            listed = sum(chunk.follows_seen for chunk in chunks)
            _count(
                self.run.id,
                put={
                    "follows_listed": listed,
                    "follows_stored": stored,
                    "contacts_listed": externals,
                    "contacts_stored": contacts,
                    "customers_complete": all(chunk.completed_at for chunk in chunks),
                },
            )
        errors = [f"#{each.position}: {each.error}" for each in chunks if each.completed_at is None or each.error]
        if stored + counts.get("follows_doubled", 0) < listed:
            errors.append(f"listed {listed}, stored {stored}")
        if "groups_error" in counts:
            errors.append(f"groups: {counts['groups_error']}")
        if counts.get("follows_doubted"):
            errors.append(f"doubted {counts['follows_doubted']}")
        self.end(SyncRun.Status.PARTIAL if errors else SyncRun.Status.DONE, error="; ".join(errors))

    def end(self, status: SyncRun.Status, *, error: str) -> None:
        """Close the run."""
        with brand_scope(self.corp.brand_id):
            SyncRun.objects.filter(pk=self.run.pk, status=SyncRun.Status.RUNNING).update(
                status=status, finished_at=self.at, error=error
            )
        turns.end(self.run.id)
        logger.info("contacts.sync.ended", extra={"brand": self.corp.brand_id, "run": self.run.id, "status": status})


def _said(trouble: WeComError) -> str:
    """Our code and WeCom's, as a chunk keeps them."""
    return f"{trouble.problem_code} {trouble.errcode or ''}".strip()


def _next_chunk(run: SyncRun) -> SyncChunk | None:
    """The chunk to read next: one that failed waits behind those that did not."""
    waiting = SyncChunk.objects.filter(run=run, completed_at=None, attempts__lt=ATTEMPTS)
    return waiting.order_by("attempts", "position").first()


def _count(run_id: int, *, put: dict[str, Any] | None = None, **plus: int) -> None:
    """Set counts and add to others. Scoped."""
    run = SyncRun.objects.select_for_update(of=("self",)).get(pk=run_id)
    counts: dict[str, Any] = {**run.counts, **(put or {})}
    for name, number in plus.items():
        counts[name] = counts.get(name, 0) + number
    SyncRun.objects.filter(pk=run_id).update(counts=counts)

"""Two who change the same rows in opposite orders: the database ends one of them, and the page does it again."""

import threading
import time
from collections.abc import Callable

from django.db import connection, connections
from django.utils import timezone

from campaigns.models import Content, Push, Variant
from scrm.lib import retries
from tenants.models import AuditEntry
from tenants.scope import brand_scope
from tests.console import scene

DEADLOCK_TIMEOUT = 1.0
"""PostgreSQL's own; a session looks once, this long after it began to wait, whether it waits for itself"""


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def waited(pid: int) -> float:
    """For how many seconds the session has been waiting for a lock; 0 while it does not."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM clock_timestamp() - min(waitstart)) FROM pg_locks"
            " WHERE pid = %s AND NOT granted",
            [pid],
        )
        return float(cursor.fetchone()[0] or 0)


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_a_post_that_lost_a_deadlock_is_done_again(live_cast, console, caplog):
    caplog.set_level("INFO")
    brand_id, now = live_cast.brand.pk, timezone.now()
    made = scene.made(live_cast)
    with brand_scope(brand_id):
        first, second = (
            Content.objects.create(name=name, channel="single", text=name, created_at=now).pk for name in "甲乙"
        )
        tagged = {"kind": "tag", "tag_id": made.tag.pk, "op": "has"}
        Variant.objects.filter(push=made.draft).update(condition=tagged, content_id=first)
        Variant.objects.create(push=made.draft, position=1, content_id=second)
    # The page saves the first content, then the second, then the push. The third session keeps it before the second
    # content until the other, which took the push first, has waited so long for the first content that it looks no
    # more whether it waits for itself. Then it is the page that finds out, and loses.
    pids: dict[str, int] = {}
    may_go_on, failed = threading.Event(), []

    def in_thread(name: str, act: Callable[[], None]) -> threading.Thread:
        def acting() -> None:
            try:
                with brand_scope(brand_id):
                    pids[name] = backend()
                    act()
            except Exception as error:
                failed.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=acting)
        thread.start()
        return thread

    def hold_second() -> None:
        list(Content.objects.filter(pk=second).select_for_update())
        pids["held"] = 1
        may_go_on.wait(30)

    def push_then_first() -> None:
        list(Push.objects.filter(pk=made.draft.pk).select_for_update(of=("self",)))
        pids["took push"] = 1
        list(Content.objects.filter(pk=first).select_for_update())

    answers = []
    holder = in_thread("holder", hold_second)
    until(lambda: "held" in pids)
    form = {"name": "改名", "channel": "single", "segment": str(made.segment.pk)}
    form |= {"v1.content": str(first), "v1.text": "甲", "v1.aim": f"tag:{made.tag.pk}"}
    form |= {"v2.content": str(second), "v2.text": "乙", "v2.aim": ""}
    alice = console(live_cast.alice.user)
    path = f"/b/{live_cast.brand.slug}/console/pushes/{made.draft.pk}/"

    def save() -> None:
        try:
            answers.append(alice.post(path, form))
        finally:
            connections.close_all()

    page = threading.Thread(target=save)
    page.start()
    until(lambda: _waiters(pids["holder"]))
    other = in_thread("other", push_then_first)
    until(lambda: "took push" in pids)
    until(lambda: waited(pids["other"]) > DEADLOCK_TIMEOUT + 0.1)
    may_go_on.set()
    for thread in (holder, page, other):
        thread.join(timeout=30)

    assert failed == []
    assert answers[0].status_code == 302
    assert [each.getMessage() for each in caplog.records if each.name == retries.__name__] == ["transaction.undone"]
    with brand_scope(brand_id):
        assert Push.objects.get(pk=made.draft.pk).name == "改名"
        saves = AuditEntry.objects.filter(action="push.save", object_id=str(made.draft.pk)).order_by("id")
        assert [entry.after["name"] for entry in saves] == ["草稿推送丁", "改名"]


def _waiters(pid: int) -> bool:
    """Whether somebody waits for what the session holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND %s = ANY (pg_blocking_pids(pid))", [pid])
        return cursor.fetchone() is not None

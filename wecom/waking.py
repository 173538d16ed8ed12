"""Waking a brand's workers once, however many callbacks come in the meantime.

    ask ──> message to Celery ──> began ──> look at the inbox

Who asks puts a flag up and sends a message only if it was not up yet; the worker takes it down before it looks. So a
flag that is up means that somebody will look later than now. The flag falls by itself after some seconds: a message
that was lost costs no more than that, and beat's sweep asks as well."""

from contextlib import suppress
from typing import Any

import redis
from celery import Task
from django.db import connection
from kombu.exceptions import OperationalError

from wecom import store

UP_SECONDS = 5


def ask(task: "Task[Any, Any]", *, brand_id: int) -> bool:
    """Have the task look at the brand's inbox soon; False when broker and Redis are away, which is soon found out."""
    flags = store.connection()
    flag = _flag(task.name, brand_id)
    try:
        if flags.set(flag, 1, nx=True, ex=UP_SECONDS):
            try:
                task.apply_async(kwargs={"brand_id": brand_id}, retry=False)
            except OperationalError:
                flags.delete(flag)
                return False
    except redis.RedisError:
        return False
    return True


def began(task: "Task[Any, Any]", *, brand_id: int) -> None:
    """The task is about to look. A Redis that is away must not keep it from that: then the flag falls by itself."""
    with suppress(redis.RedisError):
        store.connection().delete(_flag(task.name, brand_id))


def _flag(name: str, brand_id: int) -> str:
    # Two installations may share a Redis: the database's name is in it.
    return f"wecom:woken:{connection.settings_dict['NAME']}:{name}:{brand_id}"

"""Several processes of the product at once, forked from one that has loaded it: each calls WeCom as a worker does."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = """
import json, os, sys, time
import django
django.setup()
from wecom import errors
from wecom.client import WeComClient

many, corpid, secret, lasts = int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
begin_read, begin_write = os.pipe()
ends = []
for place in range(many):
    end_read, end_write = os.pipe()
    if os.fork() == 0:
        os.close(begin_write)
        wecom = WeComClient(corpid=corpid, secret=secret)
        os.read(begin_read, 1)  # everybody wakes when the parent closes its end
        told = {"done": 0, "failed": [], "throttled": 0, "slept": 0.0}
        until = time.monotonic() + lasts
        while True:
            try:
                wecom.follow_users()
                told["done"] += 1
            except errors.Throttled as limit:
                told["throttled"] += 1
                if time.monotonic() + limit.retry_after > until:
                    break
                time.sleep(limit.retry_after)
            except errors.WeComError as error:
                told["failed"].append(str(error))
            if time.monotonic() >= until:
                break
        told["cpu"] = sum(os.times()[:2])
        os.write(end_write, json.dumps(told).encode())
        os._exit(0)
    os.close(end_write)
    ends.append(end_read)
print("ready", flush=True)
sys.stdin.readline()
os.close(begin_write)
told = []
for end in ends:
    with os.fdopen(end) as result:
        told.append(json.loads(result.read()))
print(json.dumps(told), flush=True)
"""


class Crowd:
    """`many` processes that call, once or for `lasts` seconds, from `go()` on."""

    def __init__(self, *, many: int, corpid: str, secret: str, lasts: float = 0.0, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(many), corpid, secret, str(lasts)],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "scrm.settings", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Crowd":
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def go(self) -> None:
        """Let all of them begin together."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def told(self) -> list[dict[str, Any]]:
        """What each saw, when all are done: `done` and `throttled` calls, `failed` errors, seconds of processor."""
        out, _err = self._process.communicate(timeout=120)
        found: list[dict[str, Any]] = json.loads(out)
        return found

    def __exit__(self, *_failure: object) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

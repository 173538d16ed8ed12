"""Several processes of the product at once, forked from one that has loaded it: each calls WeCom as a worker does.

    with Crowd(corps=[(corpid, secret)] * 8, lasts=3, WECOM_API_BASE=…) as crowd:
        crowd.go()
        told = crowd.told()  # or crowd.enough() before it, to end earlier

`python -m bench.crowd` is the other end."""

import json
import mmap
import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 120


@dataclass
class Told:
    """What one process saw: calls that were answered, errors by their names, how often it was told to come later."""

    done: int = 0
    throttled: int = 0
    failed: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0
    """of processor time in the calling phase"""
    peak_mib: float = 0.0


class Crowd:
    """One process for each of `corps` (corpid, secret), that calls once, or for `lasts` seconds, from `go()` on.

    `environment` is added to ours."""

    def __init__(self, *, corps: list[tuple[str, str]], lasts: float = 0.0, **environment: str) -> None:
        self._lasts = lasts
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "bench.crowd", json.dumps(corps), str(lasts)],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "scrm.settings", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Crowd":
        line = self._process.stdout.readline() if self._process.stdout else ""
        if line != "ready\n":
            raise RuntimeError(f"The processes did not start: {line!r}")
        return self

    def go(self) -> None:
        """Let all of them begin together."""
        self._say("go")

    def enough(self) -> None:
        """Let all of them end after the call under way, however long they were to last."""
        self._say("enough")

    def _say(self, word: str) -> None:
        if self._process.stdin:
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()

    def told(self) -> list[Told]:
        """What each saw, when all are done."""
        out, _err = self._process.communicate(timeout=self._lasts + PATIENCE_SECONDS)
        return [Told(**each) for each in json.loads(out)]

    def __exit__(self, *_failure: object) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()


def _call(corpid: str, secret: str, lasts: float, enough: mmap.mmap) -> Told:
    """Ask for the guides again and again, waiting when told to, until the time is over or somebody says `enough`."""
    from wecom import errors
    from wecom.client import WeComClient

    wecom, told = WeComClient(corpid=corpid, secret=secret), Told()
    began, until = time.process_time(), time.monotonic() + lasts
    while True:
        try:
            wecom.follow_users()
            told.done += 1
        except errors.Throttled as limit:
            told.throttled += 1
            if time.monotonic() + limit.retry_after >= until:
                break
            time.sleep(limit.retry_after)
        except errors.WeComError as error:
            told.failed.append(str(error))
        if enough[0] or time.monotonic() >= until:
            break
    told.cpu_seconds = round(time.process_time() - began, 3)
    told.peak_mib = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return told


def _main(corps: list[tuple[str, str]], lasts: float) -> None:
    """Fork, wait for a line, let all go, print what they saw."""
    import django

    django.setup()
    import wecom.client  # noqa: F401 - loaded once, before the fork

    begin, starter = os.pipe()
    enough = mmap.mmap(-1, 1)  # shared with those forked below
    ends = []
    for corpid, secret in corps:
        end, out = os.pipe()
        if os.fork() == 0:
            os.close(starter)
            os.read(begin, 1)  # everybody wakes when the parent closes its end
            os.write(out, json.dumps(asdict(_call(corpid, secret, lasts, enough))).encode())
            os._exit(0)
        os.close(out)
        ends.append(end)
    print("ready", flush=True)
    sys.stdin.readline()
    os.close(starter)
    threading.Thread(target=_listen, args=(enough,), daemon=True).start()
    told = []
    for end in ends:
        with os.fdopen(end) as result:
            told.append(json.loads(result.read()))
    print(json.dumps(told), flush=True)


def _listen(enough: mmap.mmap) -> None:
    if sys.stdin.readline() == "enough\n":
        enough[0] = 1


if __name__ == "__main__":
    _main([tuple(each) for each in json.loads(sys.argv[1])], float(sys.argv[2]))

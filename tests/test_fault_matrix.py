"""Whatever WeCom does wrong: afterwards our state is that of a run in peace, and nobody has heard anything twice."""

import sys

import pytest

from bench.soak.ending import differences, table
from bench.soak.story import tell
from bench.soak.telling import Telling
from wecom import transport
from wecom.simulator.testing import running_simulator


@pytest.fixture
def quick(settings, monkeypatch):
    """Waits of an answer and between tries that a test can afford; what is waited for stays the same."""
    settings.WECOM_TIMEOUT_SECONDS = 0.4
    monkeypatch.setattr(transport, "BACKOFF_SECONDS", 0.01)


def told(settings, live_server, *, rate):
    with running_simulator(guides=3, contacts=36, seed=23, confirm_rate=1.0) as simulator:
        settings.WECOM_API_BASE = simulator.api_base
        return tell(Telling(simulator, public_url=live_server.url), rate=rate)


def test_after_the_faults_everything_is_as_without_them(transactional_db, live_server, settings, quick, capsys):
    peaceful = told(settings, live_server, rate=0.0)
    troubled = told(settings, live_server, rate=0.12)

    with capsys.disabled():
        sys.stdout.write(f"\n{table(troubled)}\n")
    assert peaceful.twice == troubled.twice == []
    assert peaceful.received > 40
    sure = ("timeout_after", "reset", "garbage_after", "http_500_after")
    assert all(troubled.injected[mode] for mode in sure)
    assert differences(peaceful, troubled) == []

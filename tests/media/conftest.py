from collections.abc import Iterator

import pytest

from tests.campaigns.shop import Shop
from tests.media.shelf import Shelf
from wecom.simulator.testing import Simulator, running_simulator


@pytest.fixture(scope="module")
def wecom_server() -> Iterator[Simulator]:
    """One small WeCom for a module's tests."""
    with running_simulator(guides=2, contacts=12, confirm_rate=1.0) as simulator:
        yield simulator


@pytest.fixture
def simulator(settings, wecom_server) -> Simulator:
    """That WeCom with nothing counted and nothing broken."""
    settings.WECOM_API_BASE = wecom_server.api_base
    wecom_server.delete("/_sim/counters")
    wecom_server.delete("/_sim/faults")
    return wecom_server


@pytest.fixture
def shelf(cast, simulator) -> Shelf:
    """Alice's brand with WeCom behind it, and files."""
    return Shelf(Shop(cast, simulator))


@pytest.fixture
def live_shelf(live_cast, simulator) -> Shelf:
    """The same, committed, for threads."""
    return Shelf(Shop(live_cast, simulator))

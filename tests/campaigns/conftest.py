from collections.abc import Iterator

import pytest

from tests.campaigns.orchard import Orchard
from tests.campaigns.shop import Shop
from wecom.simulator.testing import Simulator, running_simulator


@pytest.fixture
def orchard(cast) -> Orchard:
    """Alice's brand, ready to push."""
    return Orchard(cast)


@pytest.fixture
def live_orchard(live_cast) -> Orchard:
    """The same, committed, for threads."""
    return Orchard(live_cast)


@pytest.fixture
def simulator(settings) -> Iterator[Simulator]:
    """A WeCom of the test's own, in which every guide confirms."""
    with running_simulator(guides=4, contacts=60, confirm_rate=1.0) as simulator:
        settings.WECOM_API_BASE = simulator.api_base
        yield simulator


@pytest.fixture
def shop(cast, simulator) -> Shop:
    """Alice's brand with WeCom behind it."""
    return Shop(cast, simulator)


@pytest.fixture
def live_shop(live_cast, simulator) -> Shop:
    """The same, committed, for threads and other processes."""
    return Shop(live_cast, simulator)

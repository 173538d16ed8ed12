"""A simulator for each test: what people do in it stays in the test."""

from collections.abc import Iterator

import pytest

from tests.contacts.world import World, connect
from wecom.simulator.testing import Simulator, running_simulator


@pytest.fixture
def simulator(settings) -> Iterator[Simulator]:
    """Two corps with a handful of guides; the house's WeCom."""
    with running_simulator(guides=6, contacts=240, corps=2, seed=11) as simulator:
        settings.WECOM_API_BASE = simulator.api_base
        yield simulator


@pytest.fixture
def world(cast, simulator) -> World:
    """The first corp, in alice's brand."""
    return connect(cast.brand, simulator)

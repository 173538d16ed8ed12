"""One world for all tests of a module: making it through the API takes longer than most of the tests."""

from copy import deepcopy

import pytest
from django.core.cache import cache

from tenants.models import ApiKey
from tests.api.world import World
from tests.cast import Cast


@pytest.fixture(scope="module")
def made(committed_rows) -> World:
    """Alice's rows, written once."""
    world = World.make(Cast.make())
    ApiKey.objects.update(per_minute=60_000)
    return world


@pytest.fixture
def ours(made: World, db) -> World:
    """Alice's rows as they were made, whatever other tests did."""
    cache.clear()  # what was counted or remembered of the same brand
    return deepcopy(made)


@pytest.fixture
def cast(ours: World) -> Cast:
    """The people of that world."""
    return ours.cast

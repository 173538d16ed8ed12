import pytest

from tests.campaigns.orchard import Orchard


@pytest.fixture
def orchard(cast) -> Orchard:
    """Alice's brand, ready to push."""
    return Orchard(cast)


@pytest.fixture
def live_orchard(live_cast) -> Orchard:
    """The same, committed, for threads."""
    return Orchard(live_cast)

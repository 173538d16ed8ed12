"""The catalogue of events: complete for the house, open to a brand's own."""

import pytest
from django.utils.translation import override

from events import catalogue


@pytest.mark.parametrize("name", sorted(catalogue.BUILT_IN))
def test_every_type_has_a_name_in_both_languages(name):
    with override("zh-hans"):
        chinese = catalogue.label(name)
    with override("en"):
        english = catalogue.label(name)

    assert not chinese.isascii()
    assert english.isascii()
    assert english != name


def test_what_the_system_writes_passes_its_own_check():
    props = {"points": 5, "balance": 5, "reason": "sign_in"}

    assert catalogue.check("points_earned", props, sender="system") == []
    assert [error.code for error in catalogue.check("points_earned", props)] == ["event.type_reserved"]


@pytest.mark.parametrize(
    ("name", "known"),
    [("sign_in", True), ("x_a", True), ("x_", False), ("X_a", False), ("sign_in\n", False), ("x_a\n", False)],
)
def test_a_brands_own_types_have_a_prefix(name, known):
    assert catalogue.is_known(name) is known
    assert (catalogue.check(name, {}) == []) is known

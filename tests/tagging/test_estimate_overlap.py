"""How many about, and who is in several groups at once."""

from datetime import timedelta

import pytest

from contacts.models import Contact
from scrm.lib.errors import Invalid
from tagging import tags
from tagging.segments import estimate as estimates
from tagging.segments import overlap, segments
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON

WOMEN = {"kind": "profile", "field": "gender", "op": "eq", "value": 2}


@pytest.fixture
def crowd(cast):
    """4,000 contacts: a quarter are women, a tenth have the tag."""
    with brand_scope(cast.brand.id):
        Contact.objects.bulk_create(
            # Ids of their own: who is in the sample is then the same in every run.
            Contact(id=10**12 + n, name=f"客{n}", gender=2 if n % 4 == 0 else 1, created_at=NOON)
            for n in range(4000)
        )
        cast.ids = list(Contact.objects.order_by("id").values_list("pk", flat=True))
        tag = tags.create(name="婴童", actor=SYSTEM, at=NOON)
        tags.give(tag_id=tag.pk, contact_ids=cast.ids[::10], actor=SYSTEM, at=NOON)
        cast.tagged = {"kind": "tag", "tag_id": tag.pk}
    return cast


def test_a_small_brand_is_counted(crowd):
    with brand_scope(crowd.brand.id):
        found = estimates.estimate(WOMEN, NOON)
        assert (found.count, found.low, found.high, found.method) == (1000, 1000, 1000, "exact")


def test_a_sample_holds_the_truth_in_its_interval(crowd, monkeypatch):
    monkeypatch.setattr(estimates, "SMALL", 100)
    with brand_scope(crowd.brand.id):
        for tree in (WOMEN, crowd.tagged, {"all": [WOMEN, crowd.tagged]}, {"none": [WOMEN]}):
            truth = segments.count(tree, NOON + timedelta(seconds=1))
            found = estimates.estimate(tree, NOON + timedelta(seconds=1), budget_seconds=0)
            assert found.method == "sample"
            assert 0 < found.sampled < 300
            assert found.low <= truth <= found.high
            assert found.low < found.high


def test_too_few_matches_widen_the_sample_to_everybody(crowd, monkeypatch):
    monkeypatch.setattr(estimates, "SMALL", 100)
    with brand_scope(crowd.brand.id):
        found = estimates.estimate(crowd.tagged, NOON + timedelta(seconds=1), budget_seconds=None)
    assert (found.method, found.count, found.share) == ("exact", 400, 1.0)


def test_wilson_knows_the_ends():
    assert estimates.interval(0, 0) == (0.0, 1.0)
    low, high = estimates.interval(0, 1000)
    assert low == 0.0
    assert 0 < high < 0.01
    low, high = estimates.interval(1000, 1000)
    assert high == pytest.approx(1.0)
    assert 0.99 < low < 1
    # Wilson (1927) for 1.96: 10 of 100 is 0.0552 to 0.1744.
    assert estimates.interval(10, 100, sure=1.96) == pytest.approx((0.0552, 0.1744), abs=1e-4)


def test_regions_pairs_and_sizes_agree(crowd):
    at = NOON + timedelta(seconds=1)
    with brand_scope(crowd.brand.id):
        trees = [WOMEN, crowd.tagged, {"none": [WOMEN]}]
        found = overlap.overlap(trees, at)
        assert found.sizes == tuple(segments.count(tree, at) for tree in trees)
        shared = {region.inside: region.count for region in found.shared}
        assert shared[0, 1] == segments.count({"all": [WOMEN, crowd.tagged]}, at)
        assert shared[0, 2] == shared[0, 1, 2] == 0
        assert sum(region.count for region in found.regions) + found.outside == found.contacts == 4000
        assert (found.method, found.outside) == ("exact", 0)


def test_a_region_can_be_saved_as_a_segment(crowd):
    at = NOON + timedelta(seconds=1)
    with brand_scope(crowd.brand.id):
        made = [
            segments.save(name=name, tree=tree, actor=SYSTEM, at=at).pk
            for name, tree in (("女", WOMEN), ("婴童", crowd.tagged))
        ]
        found = overlap.of_segments(made, at)
        for region in found.regions:
            assert segments.count(overlap.tree_of_region(made, region.inside), at) == region.count


def test_one_group_or_the_same_twice_is_refused(crowd):
    with brand_scope(crowd.brand.id):
        with pytest.raises(Invalid):
            overlap.overlap([WOMEN], NOON)
        with pytest.raises(Invalid) as refusal:
            overlap.of_segments([7, 7], NOON)
    assert refusal.value.errors[0].code == "tagging.twice"

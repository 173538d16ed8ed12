"""A segment made elsewhere, opened in the builder: shown whole, or in words and kept as it is."""

from typing import Any

import pytest

from contacts.models import Staff
from tagging import segments, tags
from tagging.models import Segment
from tenants.actors import SYSTEM
from tenants.scope import brand_scope
from tests.cast import NOON


def opened(cast, console, tree: Any) -> tuple[str, str, int]:
    """The page of a segment with this tree, its address, and its id."""
    with brand_scope(cast.brand.pk):
        segment = segments.save(name="别处建的", tree=tree, actor=SYSTEM, at=NOON)
    path = f"/b/{cast.brand.slug}/console/segments/{segment.pk}/"
    return console(cast.alice.user).get(path).content.decode(), path, segment.pk


@pytest.fixture
def two_tags(cast) -> list[int]:
    with brand_scope(cast.brand.pk):
        return [tags.create(group="兴趣", name=name, actor=SYSTEM, at=NOON).pk for name in ("个护", "婴童")]


def test_a_tag_by_its_id_is_a_sentence(cast, console, two_tags):
    page, _path, _id = opened(cast, console, {"all": [{"kind": "tag", "tag_id": two_tags[1], "op": "has"}]})

    assert f'<option value="{two_tags[1]}" selected>' in page


@pytest.mark.parametrize(
    ("_case", "leaf"),
    [
        ("a tag by its name", {"kind": "tag", "tag": "兴趣·婴童"}),
        ("friendships that ended", {"kind": "follow", "live": False}),
    ],
)
def test_what_no_sentence_can_say_is_kept_in_words(cast, console, two_tags, _case, leaf):
    page, path, segment_id = opened(cast, console, {"all": [leaf]})

    assert "c1.kind" not in page
    assert f'name="keep" value="{segment_id}"' in page
    console(cast.alice.user).post(path, {"name": "别处建的", "keep": str(segment_id)})
    with brand_scope(cast.brand.pk):
        assert Segment.objects.get(pk=segment_id).tree == {"all": [leaf]}


def test_a_guide_beyond_the_end_of_the_list_stays_chosen(cast, console):
    with brand_scope(cast.brand.pk):
        Staff.objects.bulk_create(
            Staff(corp=cast.corp, userid=f"g{n}", name=f"甲{n:03}", is_guide=True) for n in range(600)
        )
        last = Staff.objects.create(corp=cast.corp, userid="last", name="龚", is_guide=True)

    page, _path, segment_id = opened(cast, console, {"all": [{"kind": "follow", "op": "has", "guide": last.pk}]})

    assert f'name="keep" value="{segment_id}"' in page

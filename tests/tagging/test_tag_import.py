"""Tags from a file: who is known gets them once, the other rows say what is wrong."""

from datetime import timedelta

import pytest

from contacts import merging
from contacts.merging import Wanted
from events.imports.kinds import Row
from tagging.imports import TagRows
from tagging.models import ContactTag, Tag
from tenants.scope import brand_scope
from tests.cast import NOON


@pytest.fixture
def kind():
    return TagRows()


def test_columns_are_found_and_what_is_missing_is_said(kind):
    assert kind.guess(["手机号", "标签组", "标签", "备注"]) == {0: "phone", 1: "group", 2: "tag"}
    assert [error.code for error in kind.check({0: "group"}, {})] == ["import.no_person", "import.no_tag"]
    assert kind.check({0: "contact_id"}, {"tag": "兴趣·婴童"}) == []


def test_rows_become_tags_once(cast, kind):
    who, other = (cast.contact(name, at=NOON).pk for name in ("陈小满", "李大树"))
    rows = [
        Row(2, {"contact_id": str(who), "group": "兴趣", "tag": "婴童", "expires_at": "2026-12-31"}),
        Row(3, {"contact_id": str(other)}),
        Row(4, {"contact_id": "999999999", "tag": "婴童"}),
        Row(5, {"contact_id": str(who), "tag": "果" * 31, "expires_at": "昨天"}),
    ]
    with brand_scope(cast.brand.id):
        read = kind.read(rows, {"tag": "来源·门店"}, NOON)
        assert [(p.row, p.error.code) for p in read.problems] == [
            (4, "not_found"),
            (5, "tagging.bad_name"),
            (5, "tagging.past_expiry"),
        ]
        first, again = kind.write(read, NOON), kind.write(read, NOON + timedelta(hours=1))
        assert ((first.accepted, first.duplicate), (again.accepted, again.duplicate)) == ((2, 0), (0, 2))
        assert sorted(str(tag) for tag in Tag.objects.all()) == ["兴趣·婴童", "来源·门店"]
        row = ContactTag.objects.get(contact_id=who)
        assert (row.source, row.expires_at.isoformat()) == ("import", "2026-12-31T15:59:59+00:00")


def test_who_is_merged_meanwhile_gets_the_tag_as_who_they_are_now(cast, kind):
    who, other = (cast.contact(name, at=NOON).pk for name in ("陈小满", "李大树"))
    rows = [Row(2, {"contact_id": str(other), "tag": "婴童"})]
    with brand_scope(cast.brand.id):
        read = kind.read(rows, {}, NOON)
        merging.merge(wanted=[Wanted(who, other)], at=NOON)
        assert kind.write(read, NOON).accepted == 1
        assert kind.read(rows, {}, NOON).good[0].contact_id == who  # the old number means them, too
        assert ContactTag.objects.get().contact_id == who

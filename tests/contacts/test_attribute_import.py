"""Attributes of contacts from a file: blanks are filled, what is there stays unless the file knows better."""

from io import BytesIO

import pytest
from django.utils import timezone

from contacts.imports import ContactRows
from contacts.models import Contact, Identity, IdentityConflict
from contacts.oneid.identity import Claim, attach, resolve
from contacts.personal_data import erasure
from events.imports import jobs, kinds
from events.models import Event, Import
from tenants.actors import Actor
from tenants.scope import brand_scope

ALICE = Actor("user:1", "alice")
HEADER = "手机号,会员号,姓名,性别,来源渠道"


def ran(
    cast, text: str | bytes, *, header: str = HEADER, kind: str = "contacts", **options
) -> tuple[jobs.Progress, list[str]]:
    """Upload with guessed columns and import to the end; how far it came, and the codes of what was wrong."""
    raw = text if isinstance(text, bytes) else f"{header}\n{text}".encode()
    brand, at = cast.brand.pk, timezone.now()
    import_id = jobs.upload(
        brand_id=brand,
        kind=kind,
        name="会员.csv",
        file=BytesIO(raw),
        size=len(raw),
        actor=ALICE,
        language="zh-hans",
        at=at,
    )
    with brand_scope(brand):
        guessed = {int(place): target for place, target in Import.objects.get(pk=import_id).mapping.items()}
        jobs.start(import_id=import_id, mapping=guessed, options=options, actor=ALICE, at=at)
    while jobs.step(brand_id=brand, import_id=import_id, at=at):
        pass
    with brand_scope(brand):
        progress = jobs.progress(import_id)
    lines = b"".join(jobs.error_file(brand_id=brand, import_id=import_id)).decode().splitlines()[1:]
    return progress, [line.rsplit(",", 1)[1] for line in lines]


@pytest.fixture
def chen(cast) -> int:
    """Known by a phone; has a name and no more."""
    with brand_scope(cast.brand.pk):
        [contact] = attach(claims=[Claim((("phone", "13812345678"),))], at=timezone.now()).contact_ids
        Contact.objects.filter(pk=contact).update(name="陈小满")
    return contact


def told(cast, contact: int) -> tuple:
    with brand_scope(cast.brand.pk):
        row = Contact.objects.get(pk=contact)
    return row.name, row.gender, row.source_state


def test_blanks_are_filled_once_and_the_log_is_told(cast, chen):
    first, _codes = ran(cast, "138 1234 5678,,陈女士,女,门店")
    again, _codes = ran(cast, "138 1234 5678,,陈女士,女,门店")

    assert told(cast, chen) == ("陈小满", 2, "门店")
    assert (first.accepted, first.duplicate, again.accepted, again.duplicate) == (1, 0, 0, 1)
    with brand_scope(cast.brand.pk):
        changed = Event.objects.filter(contact_id=chen, type="profile_changed")
        assert {event.props["field"] for event in changed} == {"gender", "source_state"}


def test_the_file_may_know_better(cast, chen):
    progress, _codes = ran(cast, "13812345678,,陈女士,,\n13812345678,,陈老师,,", overwrite=True)

    assert told(cast, chen) == ("陈老师", 0, "")
    assert progress.accepted == 2


@pytest.mark.parametrize("encoding", ["gbk", "utf-8-sig", "utf-16"])
def test_as_excel_saves_it(cast, chen, encoding):
    ran(cast, f"{HEADER}\r\n13812345678,,,男,抖音\r\n".encode(encoding))

    assert told(cast, chen) == ("陈小满", 1, "抖音")


def test_every_wrong_cell_is_named_and_the_other_rows_go_in(cast, chen):
    progress, codes = ran(cast, f"13900000000,,甲,,\n13812345678,,,中,\n13812345678,,,,{'长' * 65}\n13812345678,,,女,")

    assert (progress.accepted, progress.refused) == (1, 3)
    assert codes == ["not_found", "import.gender", "import.too_long"]
    assert told(cast, chen)[1] == 2


def test_identities_of_a_row_are_one_person_only_if_said(cast, chen):
    ran(cast, "13812345678,AB-1,,女,")
    with brand_scope(cast.brand.pk):
        assert resolve([("member_id", "AB-1")]) == {}

    ran(cast, "13812345678,ab-1,,,", link=True)
    with brand_scope(cast.brand.pk):
        assert resolve([("member_id", "AB-1")]) == {("member_id", "AB-1"): chen}
        assert Identity.objects.get(type="member_id").source == "import"


def test_a_stranger_is_made_only_if_said(cast, chen):
    refused, codes = ran(cast, ",M9,新会员,女,门店")
    made, _codes = ran(cast, ",M9,新会员,女,门店", create=True)
    again, _codes = ran(cast, ",M9,新会员,女,门店", create=True)

    assert (refused.refused, codes, made.accepted, again.duplicate) == (1, ["not_found"], 1, 1)
    with brand_scope(cast.brand.pk):
        [contact] = resolve([("member_id", "M9")]).values()
    assert told(cast, contact) == ("新会员", 2, "门店")


def test_contradicting_identities_are_left_to_the_review(cast, chen):
    with brand_scope(cast.brand.pk):
        attach(claims=[Claim((("unionid", "oA"), ("phone", "13812345678")))], at=timezone.now())
        attach(claims=[Claim((("unionid", "oB"), ("member_id", "M1")))], at=timezone.now())
    ran(cast, "13812345678,M1,,女,", link=True)

    with brand_scope(cast.brand.pk):
        assert IdentityConflict.objects.filter(resolved_at=None).count() == 1
        assert len(set(resolve([("phone", "13812345678"), ("member_id", "M1")]).values())) == 2


def test_a_row_is_about_the_person_whom_a_later_row_finds_it_to_be(cast, chen):
    """Row 1 was read for a contact that row 2 merges into an older one."""
    with brand_scope(cast.brand.pk):
        attach(claims=[Claim((("member_id", "M7"),))], at=timezone.now())
        Contact.objects.filter(pk=chen).update(first_added_at=timezone.now())
    progress, _codes = ran(cast, ",M7,,女,\n13812345678,M7,,,门店", link=True)

    assert told(cast, chen) == ("陈小满", 2, "门店")
    assert (progress.accepted, progress.duplicate) == (2, 0)


def test_who_is_erased_while_a_part_is_in_hand_is_not_made_anew(cast, chen, monkeypatch):
    class Erasing(ContactRows):
        """Between the reading of a part and its writing, an operator erases a person of it."""

        name = "contacts_erasing"

        def prepare(self, read):
            with brand_scope(cast.brand.pk):
                if Contact.objects.filter(pk=chen).exists():
                    erasure.erase(
                        contact_id=chen, typed_name="陈小满", reason="本人要求", actor=ALICE, at=timezone.now()
                    )

    monkeypatch.setitem(kinds._KINDS, Erasing.name, Erasing())

    ran(cast, "13812345678,M1,陈女士,女,门店\n,M2,新会员,,", kind=Erasing.name, create=True, link=True)

    with brand_scope(cast.brand.pk):
        assert list(Contact.objects.values_list("name", flat=True)) == ["新会员"]
        known = resolve([("phone", "13812345678"), ("member_id", "M1"), ("member_id", "M2")])
        assert list(known) == [("member_id", "M2")]


def test_by_our_own_number(cast, chen):
    ran(cast, f"#{chen},男,13900001111", header="客户编号,性别,联系电话")

    assert told(cast, chen)[1] == 1
    with brand_scope(cast.brand.pk):
        assert Contact.objects.get(pk=chen).phone == "13900001111"


def test_what_is_missing_in_the_choice_is_said():
    kind = ContactRows()
    assert [error.code for error in kind.check({0: "name"}, {})] == ["import.no_person"]
    assert [error.code for error in kind.check({0: "phone"}, {})] == ["import.nothing_to_write"]
    assert [error.field for error in kind.check({0: "openid", 1: "name"}, {})] == ["appid"]

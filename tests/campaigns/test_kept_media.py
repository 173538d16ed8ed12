"""Pictures of ours in pushes and welcomes: they arrive, on the fourth day too, and what is shown does not go."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.contents import attached, contents, media_use
from campaigns.models import Content, Welcome
from campaigns.pushes.pushes import VariantDraft
from campaigns.welcome import welcome
from events.models import Event
from media import copies, keeping, wanted
from media.models import Copy, Kept
from scrm.lib.errors import Conflict, Invalid
from tenants.scope import brand_scope
from tests.campaigns.shop import Shop
from tests.campaigns.test_welcome import greet, heard, told
from tests.contacts.world import World
from tests.media.files import MB, PDF, jpeg, mp4, png
from tests.media.shelf import ALICE, Shelf
from wecom.models import Corp
from wecom.simulator.testing import Simulator, running_simulator

DAY = timedelta(days=1)
LINK = {"title": "t", "url": "https://a.example"}


@pytest.fixture(scope="module")
def wecom_server() -> Iterator[Simulator]:
    """One small WeCom for the module's tests."""
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
    return Shelf(Shop(cast, simulator))


def save(shelf, *attachments, channel="single", text="看图", **fields) -> Content:
    with brand_scope(shelf.brand_id):
        return contents.save(
            name="图", channel=channel, text=text, attachments=attachments, actor=ALICE, at=shelf.shop.at, **fields
        )


def attachment(kind, row, **more):
    return {"msgtype": kind, kind: {"media": row.pk, **more}}


def push(shelf, saved, channel="single"):
    return shelf.shop.planned(variants=[VariantDraft(saved.pk)], channel=channel)


def received(shelf, kind="single", *, skip=0):
    """(form of the file, its bytes in WeCom) of everything of that kind in the journal but for the first rows."""
    wecom = shelf.shop.wecom
    found = []
    for row in shelf.shop.journal(kind=kind)[skip:]:
        for item in row["attachments"]:
            body = item[item["msgtype"]]
            media_id = body.get("media_id") or body.get("pic_media_id")
            data = b"" if media_id is None else wecom.media(media_id=media_id).data
            found.append((item["msgtype"], data or body.get("pic_url") or body.get("picurl")))
    return found


def days_pass(shelf, days):
    """Both clocks go on; the beat refreshes every few hours."""
    shelf.shop.simulator.post("/_sim/clock", {"advance_seconds": days * 86_400})
    for _half_day in range(int(days * 2)):
        refresh(shelf, shelf.shop.later(hours=12))


def refresh(shelf, at):
    """What the beat's tasks do at that moment."""
    with brand_scope(shelf.brand_id):
        due = wanted.due(at=at)
    for each in due:
        copies.ready(brand_id=shelf.brand_id, corp_id=each.corp_id, needs=[each.need], wecom=shelf.shop.wecom, at=at)
    return len(due)


def test_a_push_arrives_with_its_files(shelf):
    poster, film = shelf.keep(), shelf.keep(mp4(), "片.mp4")
    card = attachment("miniprogram", poster, title="签到", appid="wx1", page="pages/a")
    link = attachment("link", poster, title="新品", url="https://shop.example.com/")
    made = push(shelf, save(shelf, attachment("image", poster), attachment("video", film), card, link))
    shelf.shop.send(made)
    shelf.shop.people_confirm()

    got = received(shelf)
    url = next(value for kind, value in got if kind == "image")
    assert url.startswith("http")
    people = len(shelf.shop.received())
    assert people
    assert got == [("image", url), ("video", mp4()), ("miniprogram", png()), ("link", url)] * people
    assert shelf.uploads() == {"media/uploadimg": 1, "media/upload": 2}


def test_a_push_scheduled_for_the_fifth_day_arrives_with_its_film(shelf):
    film = shelf.keep(mp4(20), "长片.mp4")
    made = push(shelf, save(shelf, attachment("video", film)))
    refresh(shelf, shelf.shop.at)
    days_pass(shelf, 4)
    before = len(shelf.shop.journal(kind="single"))

    shelf.shop.send(made)
    shelf.shop.people_confirm()

    got = received(shelf, skip=before)
    assert got
    assert set(got) == {("video", mp4(20))}


def test_a_file_that_wecom_has_forgotten_early_is_given_again(shelf):
    """Its clock is four days ahead, and we know nothing of that."""
    film = shelf.keep(mp4(21), "片.mp4")
    made = push(shelf, save(shelf, attachment("video", film)))
    refresh(shelf, shelf.shop.at)
    shelf.shop.simulator.post("/_sim/clock", {"advance_seconds": 4 * 86_400})
    shelf.shop.later(minutes=1)

    shelf.shop.send(made)
    assert "pending" in shelf.shop.statuses(made)  # the first told us; the second may have gone with the new copy
    shelf.shop.later(minutes=1)
    shelf.shop.send(made)

    assert set(shelf.shop.statuses(made)) == {"created"}


def test_a_film_that_wecom_refuses_ends_the_push_with_a_reason(shelf):
    made = push(shelf, save(shelf, attachment("video", shelf.keep(mp4(22), "坏.mp4"))))
    shelf.shop.simulator.post("/_sim/faults", {"path": "media/upload", "mode": "errcode", "errcode": 41090})
    shelf.shop.send(made)

    assert set(shelf.shop.statuses(made)) == {"refused"}
    assert set(shelf.shop.tally(made)) == {"refused"}
    assert shelf.shop.batches(made)[0].error_code == "wecom.media_invalid"


def test_an_upload_that_fails_puts_the_push_off(shelf):
    made = push(shelf, save(shelf, attachment("video", shelf.keep(mp4(23), "片.mp4"))))
    shelf.shop.simulator.post("/_sim/faults", {"path": "media/upload", "mode": "http_500"})
    shelf.shop.send(made)
    assert set(shelf.shop.statuses(made)) == {"pending"}
    assert all(batch.claimed_at is None and batch.due_at > shelf.shop.at for batch in shelf.shop.batches(made))

    shelf.shop.no_faults()
    shelf.shop.later(minutes=10)
    shelf.shop.send(made)
    assert set(shelf.shop.statuses(made)) == {"created"}


def test_moments_take_their_own_kind_of_copy(shelf):
    poster = shelf.keep(jpeg(800, 600), "圈.jpg")
    made = push(shelf, save(shelf, attachment("image", poster), channel="moments"), channel="moments")
    for batch in shelf.shop.batches(made):
        shelf.shop.advance(batch)
        shelf.shop.later(seconds=10)
        shelf.shop.advance(batch)
    shelf.shop.people_confirm()

    assert set(received(shelf, "moment")) == {("image", jpeg(800, 600))}
    assert shelf.uploads() == {"media/upload_attachment": 1}


# -- welcomes --


@pytest.fixture
def world(shelf) -> World:
    cast = shelf.shop.cast
    with brand_scope(cast.brand.pk):
        return World(cast.brand, Corp.objects.get(), shelf.shop.simulator)


def say(shelf, **fields) -> Welcome:
    with brand_scope(shelf.brand_id):
        return welcome.save(corp_id=shelf.corp_id, is_on=True, actor=ALICE, at=timezone.now(), **fields)


def pictures(shelf, external_userid):
    rows = shelf.shop.journal(kind="welcome", external_userid=external_userid)
    return [item for row in rows for item in row["attachments"]]


def test_a_welcome_still_brings_its_film_on_the_fifth_day(shelf, world):
    film = shelf.keep(mp4(24), "欢迎.mp4")
    say(shelf, text="欢迎", media_id=film.pk)
    first = told(world)
    greet(world)
    days_pass(shelf, 4)
    fifth_day = told(world)
    greet(world)

    assert [len(pictures(shelf, each)) for each in (first, fifth_day)] == [1, 1]
    early, late = (pictures(shelf, each)[0]["video"]["media_id"] for each in (first, fifth_day))
    assert early != late
    assert shelf.shop.wecom.media(media_id=late).data == mp4(24)
    assert heard(world, fifth_day) == ["欢迎"]


def test_a_welcome_whose_film_wecom_forgot_is_said_all_the_same(shelf, world):
    film = shelf.keep(mp4(25), "欢迎.mp4")
    say(shelf, text="欢迎", media_id=film.pk)
    first = told(world)
    greet(world)
    shelf.shop.simulator.post("/_sim/clock", {"advance_seconds": 4 * 86_400})
    later = told(world)
    greet(world)
    greet(world)

    assert [len(pictures(shelf, each)) for each in (first, later)] == [1, 1]


def test_a_welcome_says_its_words_when_the_file_cannot_be_had(shelf, world):
    say(shelf, text="欢迎", media_id=shelf.keep(mp4(26), "坏.mp4").pk)
    shelf.shop.simulator.post("/_sim/faults", {"path": "media/upload", "mode": "errcode", "errcode": 41090})
    customer = told(world)
    greet(world)

    assert heard(world, customer) == ["欢迎"]
    assert pictures(shelf, customer) == []
    with brand_scope(shelf.brand_id):
        (event,) = Event.objects.filter(type="welcome_sent")
    assert event.props["without"] == "wecom.media_invalid"


def test_while_wecom_is_down_the_code_waits_and_then_the_words_go_alone(shelf, world):
    say(shelf, text="欢迎", media_id=shelf.keep(mp4(27), "片.mp4").pk)
    shelf.shop.simulator.post("/_sim/faults", {"path": "media/upload", "mode": "http_500"})
    fresh, waited = told(world), told(world, age=12)
    greet(world)

    assert (heard(world, fresh), heard(world, waited)) == ([], ["欢迎"])
    shelf.shop.no_faults()
    greet(world)
    assert len(pictures(shelf, fresh)) == 1


def test_a_picture_alone_is_a_welcome(shelf, world):
    say(shelf, text="", media_id=shelf.keep().pk)
    customer = told(world)
    greet(world)
    assert [item["msgtype"] for item in pictures(shelf, customer)] == ["image"]


# -- what is saved, kept and let go --


@pytest.mark.parametrize(
    ("channel", "kind", "data", "more", "code"),
    [
        ("single", "image", PDF, {}, "content.media_kind"),
        ("single", "video", png(), {}, "content.media_kind"),
        ("single", "image", png(), {"media_id": "m"}, "content.media_twice"),
        (
            "single",
            "link",
            png(),
            {"picurl": "https://a.example/p", "title": "t", "url": "https://a.example"},
            "content.media_twice",
        ),
        ("moments", "image", jpeg(2000, 2000), {}, "content.media_unfit"),
        ("moments", "video", mp4(31), {}, "content.media_unfit"),
        ("single", "link", jpeg(padding=3 * MB), LINK, "content.media_unfit"),
    ],
)
def test_what_the_channel_cannot_show_is_refused_when_saved(shelf, channel, kind, data, more, code):
    row = shelf.keep(data, "文件.bin" if data == PDF else "a")
    with pytest.raises(Invalid) as refused:
        save(shelf, attachment(kind, row, **more), channel=channel)
    assert [error.code for error in refused.value.errors] == [code]
    assert refused.value.errors[0].remedy


@pytest.mark.parametrize("number", [0, -1, 10**30, 999_999, "1", True, None, [], {}])
def test_a_file_that_is_not_there_is_refused_when_saved(shelf, number):
    with pytest.raises(Invalid) as refused:
        save(shelf, {"msgtype": "image", "image": {"media": number}})
    assert {error.code for error in refused.value.errors} <= {"content.media_missing", "content.media_number"}


def test_another_brands_file_is_not_there(shelf):
    row = shelf.keep()
    with brand_scope(shelf.shop.cast.other.pk), pytest.raises(Invalid) as refused:
        contents.save(
            name="图", channel="single", text="", attachments=[attachment("image", row)], actor=ALICE, at=shelf.shop.at
        )
    assert [error.code for error in refused.value.errors] == ["content.media_missing"]


def test_what_is_shown_does_not_go_and_what_is_not_goes_after_thirty_days(shelf):
    shown, left, other = shelf.keep(png(1, 1)), shelf.keep(png(1, 2), "b.png"), shelf.keep(png(1, 3), "c.png")
    saved = save(shelf, attachment("image", shown), attachment("image", other))
    with pytest.raises(Conflict) as used:
        keeping.remove(brand_id=shelf.brand_id, media_id=shown.pk, actor=ALICE, at=shelf.shop.at)
    assert used.value.problem_code == "media.in_use"

    shelf.shop.later(days=20)
    save(shelf, attachment("image", shown), content_id=saved.pk)
    keeping.sweep(brand_id=shelf.brand_id, at=shelf.shop.later(days=11))
    with brand_scope(shelf.brand_id):
        assert set(Kept.objects.values_list("pk", flat=True)) == {shown.pk, other.pk}
        assert not Kept.objects.filter(pk=left.pk).exists()
    keeping.sweep(brand_id=shelf.brand_id, at=shelf.shop.later(days=20))
    with brand_scope(shelf.brand_id):
        assert set(Kept.objects.values_list("pk", flat=True)) == {shown.pk}
        assert not Copy.objects.exclude(media=shown).exists()


def test_media_ids_of_the_brands_own_go_on_and_say_when_they_end(shelf):
    mine = {"msgtype": "image", "image": {"media_id": "mine"}}
    saved = save(shelf, mine)
    assert media_use.media_ends(saved) == shelf.shop.at + 3 * DAY
    assert attached.bare(saved.attachments) == {"mine"}

    start = shelf.shop.at
    shelf.shop.later(days=2)
    again = save(shelf, mine, text="改字", content_id=saved.pk)
    assert media_use.media_ends(again) == start + 3 * DAY

    new = save(shelf, {"msgtype": "image", "image": {"media_id": "newer"}}, content_id=saved.pk)
    assert media_use.media_ends(new) == start + 5 * DAY
    assert media_use.media_ends(save(shelf, content_id=saved.pk)) is None


def test_a_content_from_before_kept_media_counts_from_its_making(shelf):
    with brand_scope(shelf.brand_id):
        old = Content.objects.create(
            name="旧", attachments=[{"msgtype": "image", "image": {"media_id": "m"}}], created_at=shelf.shop.at
        )
    assert media_use.media_ends(old) == shelf.shop.at + 3 * DAY


def test_the_beat_wants_welcomes_and_coming_pushes_only(shelf):
    shown, scheduled, draft = shelf.keep(mp4(1), "a.mp4"), shelf.keep(mp4(2), "b.mp4"), shelf.keep(mp4(3), "c.mp4")
    say(shelf, text="欢迎", media_id=shown.pk)
    push(shelf, save(shelf, attachment("video", scheduled)))
    save(shelf, attachment("video", draft))

    assert refresh(shelf, shelf.shop.at) == 2
    assert refresh(shelf, shelf.shop.at) == 0
    assert {media_id for media_id, _form in shelf.rows()} == {shown.pk, scheduled.pk}
    assert refresh(shelf, shelf.shop.at + 2.1 * DAY) == 2

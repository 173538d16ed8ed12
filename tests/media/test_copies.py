"""Copies in WeCom: made once when needed, made again before they end, and by one worker for all."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from media import copies
from media.copies import Need
from media.models import Copy, Form
from tenants.scope import brand_scope
from tests.media.files import MB, jpeg, mp4, png
from tests.media.shelf import message, picture
from wecom.errors import Rejected, Throttled, Unreachable

DAY = timedelta(days=1)


def test_an_address_is_asked_for_once_and_lasts(shelf):
    need = picture(shelf.keep())

    first = shelf.ready(need)[need]
    much_later = shelf.ready(need, at=shelf.shop.at + 400 * DAY)[need]

    assert first == much_later
    assert first.form == Form.URL
    assert first.value.startswith("http")
    assert shelf.uploads() == {"media/uploadimg": 1}


def test_a_media_id_is_used_while_it_lives_another_day_and_then_made_again(shelf):
    need = message(shelf.keep(mp4(), "片.mp4"))
    start = shelf.shop.at

    values = [shelf.ready(need, at=start + hours)[need].value for hours in (0 * DAY, 1.9 * DAY, 2.1 * DAY, 4 * DAY)]

    assert values[0] == values[1] != values[2] == values[3]
    assert shelf.uploads() == {"media/upload": 2}
    assert shelf.shop.wecom.media(media_id=values[2]).data == mp4()


def test_each_use_has_its_own_copy(shelf):
    row = shelf.keep(jpeg())

    found = shelf.ready(picture(row), message(row), Need(row.pk, (Form.MOMENTS,)))

    assert len({live.value for live in found.values()}) == 3
    assert shelf.uploads() == {"media/uploadimg": 1, "media/upload": 1, "media/upload_attachment": 1}


def test_when_addresses_are_used_up_a_picture_goes_as_a_media_id(shelf):
    need = picture(shelf.keep())
    shelf.shop.simulator.post("/_sim/faults", {"path": "media/uploadimg", "mode": "errcode", "errcode": 45009})
    try:
        assert shelf.ready(need)[need].form == Form.MESSAGE
    finally:
        shelf.shop.unblock()
    row = shelf.rows()[need.media_id, Form.URL]
    assert (row.error_code, row.claimed_at, row.attempts) == ("wecom.throttled", None, 1)


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ({"mode": "errcode", "errcode": 40004}, Rejected, "wecom.media_invalid"),
        ({"mode": "http_500"}, Unreachable, "wecom.busy"),
    ],
)
def test_a_failed_upload_is_told_and_frees_its_claim(shelf, fault, error, code):
    need = message(shelf.keep(mp4(), "片.mp4"))
    shelf.shop.simulator.post("/_sim/faults", {"path": "media/upload", **fault})
    with pytest.raises(error):
        shelf.ready(need)
    row = shelf.rows()[need.media_id, Form.MESSAGE]
    assert (row.value, row.claimed_at, row.error_code) == ("", None, code)
    assert row.error

    shelf.shop.no_faults()
    assert shelf.ready(need, at=shelf.shop.later(seconds=1))[need].value
    assert shelf.rows()[need.media_id, Form.MESSAGE].error_code == ""


@pytest.mark.django_db(transaction=True)
def test_eight_workers_make_one_upload(live_shelf):
    need = message(live_shelf.keep(png(900, 900)))

    def ask(_number: int) -> str:
        try:
            return live_shelf.ready(need)[need].value
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as workers:
        values = set(workers.map(ask, range(8)))

    assert len(values) == 1
    assert live_shelf.uploads() == {"media/upload": 1}


def test_the_claim_of_a_dead_worker_is_void_after_a_while(shelf):
    need = message(shelf.keep())
    with brand_scope(shelf.brand_id):
        Copy.objects.create(
            brand_id=shelf.brand_id,
            media_id=need.media_id,
            corp_id=shelf.corp_id,
            form=Form.MESSAGE,
            claimed_at=shelf.shop.at,
        )
    with pytest.raises(Throttled) as waiting:
        shelf.ready(need, at=shelf.shop.later(minutes=1), patience=0)
    assert waiting.value.problem_code == "media.being_made"

    assert shelf.ready(need, at=shelf.shop.later(minutes=5))[need].value


def test_who_lost_the_claim_meanwhile_writes_nothing(shelf):
    """A worker that slept through its claim has a good value, but the row is the new holder's."""
    need = message(shelf.keep())
    start = shelf.shop.at
    real = shelf.shop.wecom
    newer = []

    class Slow:
        """The client of a worker that sleeps during its upload, while another does the same work."""

        def upload_media(self, **given):
            if not newer:
                newer.append("begun")
                newer[0] = shelf.ready(need, at=start + timedelta(minutes=6))[need].value
            return real.upload_media(**given)

    slow = copies.ready(brand_id=shelf.brand_id, corp_id=shelf.corp_id, needs=[need], wecom=Slow(), at=start)[
        need
    ].value

    assert slow != newer[0]
    assert shelf.rows()[need.media_id, Form.MESSAGE].value == newer[0]


def test_what_wecom_has_forgotten_is_made_again(shelf):
    film, poster = shelf.keep(mp4(), "片.mp4"), shelf.keep()
    before = shelf.ready(message(film), picture(poster))

    with brand_scope(shelf.brand_id):
        ids = [film.pk, poster.pk]
        assert copies.forget(corp_id=shelf.corp_id, media_ids=ids, made_before=shelf.shop.at) == 0
        later = shelf.shop.later(minutes=1)
        assert copies.forget(corp_id=shelf.corp_id, media_ids=ids, made_before=later) == 1
    after = shelf.ready(message(film), picture(poster))

    assert before[message(film)] != after[message(film)]
    assert before[picture(poster)] == after[picture(poster)]


def test_copies_that_ended_are_erased(shelf):
    need, lasting = message(shelf.keep(mp4(), "片.mp4")), picture(shelf.keep())
    shelf.ready(need, lasting)

    with brand_scope(shelf.brand_id):
        assert copies.ended(at=shelf.shop.at + 3.5 * DAY) == 0
        assert copies.ended(at=shelf.shop.at + 4.1 * DAY) == 1
    assert list(shelf.rows()) == [(lasting.media_id, Form.URL)]


def test_nothing_is_uploaded_inside_a_scope(shelf):
    need = message(shelf.keep())
    with pytest.raises(RuntimeError), brand_scope(shelf.brand_id):
        shelf.ready(need)
    assert shelf.uploads() == {}


def test_a_lost_file_is_told(shelf):
    from media import keeping

    row = shelf.keep(png(7, 7))
    keeping.storage().delete(row.path)
    with pytest.raises(Rejected) as lost:
        shelf.ready(message(row))
    assert lost.value.problem_code == "media.lost"


def test_a_large_picture_is_no_address(shelf):
    """More than 2 MB: uploadimg refuses it, so it is never asked."""
    row = shelf.keep(jpeg(padding=3 * MB), "大.jpg")
    assert row.size > 2 * MB
    assert shelf.ready(message(row))[message(row)].form == Form.MESSAGE

"""Files by REST, as a partner uploads them; and the beat's tasks, which find by themselves what must be in WeCom."""

from celery import current_app
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from campaigns.models import Welcome
from media import tasks
from tenants.scope import brand_scope
from tests.media.files import HEIC, MB, PDF, mp4, png

URL = "/api/v1/media"


def upload(person, data, name="海报.png", **fields):
    return person.upload(URL, {"file": SimpleUploadedFile(name, data), **fields})


def test_a_file_goes_up_is_listed_named_and_comes_back(cast):
    made = upload(cast.alice, png(12, 9))
    assert made.status_code == 201
    about = made.json()
    assert {
        "kind": "image",
        "name": "海报.png",
        "width": 12,
        "height": 9,
        "size": len(png(12, 9)),
    }.items() <= about.items()

    page = cast.alice.api("get", f"{URL}?kind=image").json()
    assert [item["id"] for item in page["items"]] == [about["id"]]
    assert cast.alice.api("get", f"{URL}?kind=video").json()["items"] == []
    back = cast.alice.api("get", f"{URL}/{about['id']}/file")
    assert (back.content, back["Content-Type"], back["X-Content-Type-Options"]) == (png(12, 9), "image/png", "nosniff")

    image = {"msgtype": "image", "image": {"media": about["id"]}}
    body = {"name": "图", "channel": "moments", "text": "看图", "attachments": [image]}
    said = cast.alice.api("post", "/api/v1/contents", body, idempotency_key="c")
    assert (said.status_code, said.json()["attachments"], said.json()["media_ends_at"]) == (201, [image], None)
    assert cast.alice.api("get", f"{URL}/{about['id']}").json()["unused_since"] is None
    gone = cast.alice.api("delete", f"{URL}/{about['id']}")
    assert (gone.status_code, gone.json()["code"]) == (409, "media.in_use")


def test_the_same_file_twice_is_one(cast):
    first, second = upload(cast.alice, png()), upload(cast.alice, png())
    other_name, theirs = upload(cast.alice, png(), "b.png"), upload(cast.charlie, png())

    assert [answer.status_code for answer in (first, second, other_name, theirs)] == [201, 200, 201, 201]
    assert first.json()["id"] == second.json()["id"] != other_name.json()["id"]


def test_what_wecom_would_refuse_is_refused_in_both_languages(cast):
    for language, words in (("zh-hans", "另存为 JPG"), ("en", "Save the picture as JPG")):
        file = {"file": SimpleUploadedFile("IMG_1.jpg", HEIC)}
        answer = cast.alice.upload(URL, file, **{"Accept-Language": language})
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["field"], error["code"]) == (422, "file", "media.not_picture")
        assert words in error["remedy"]


def test_bodies_that_are_no_upload(cast):
    assert cast.alice.upload(URL, {"kind": "image"}).status_code == 422
    assert upload(cast.alice, b"").json()["errors"][0]["code"] == "media.empty"
    assert upload(cast.alice, bytes(22 * MB), "a.bin").json()["errors"][0]["code"] == "media.too_large"
    assert upload(cast.alice, PDF, "价目表.pdf", kind="image").json()["errors"][0]["code"] == "media.not_picture"
    assert cast.alice.api("post", URL, {"file": "x"}).status_code == 415
    headers = {"Authorization": f"Bearer {cast.alice.key}"}
    broken = Client().generic(
        "POST", URL, b"--x\r\nnonsense", content_type="multipart/form-data; boundary=x", headers=headers
    )
    assert broken.status_code in (400, 422)


def test_a_file_that_only_downloads_never_runs_in_a_browser(cast):
    page = upload(cast.alice, b"<script>alert(1)</script>", "a.html", kind="file").json()
    answer = cast.alice.api("get", f"{URL}/{page['id']}/file")

    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer["Content-Security-Policy"]


def test_the_beat_brings_a_welcomes_film_to_wecom(shelf, django_capture_on_commit_callbacks):
    film = shelf.keep(mp4(9), "片.mp4")
    with brand_scope(shelf.brand_id):
        Welcome.objects.create(corp_id=shelf.corp_id, is_on=True, text="", media=film, updated_at=shelf.shop.at)
    current_app.conf.task_always_eager = True
    try:
        for _beat in range(2):
            with django_capture_on_commit_callbacks(execute=True):
                tasks.refresh.run()
    finally:
        current_app.conf.task_always_eager = False

    (copy,) = shelf.rows().values()
    assert shelf.shop.wecom.media(media_id=copy.value).data == mp4(9)
    assert shelf.uploads() == {"media/upload": 1}
    tasks.sweep.run()
    assert len(shelf.rows()) == 1

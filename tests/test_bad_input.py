"""Bad input through the doors that people and peer systems use: the answer names the field and the remedy, in Chinese
and in English, and nothing is left half-done."""

import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Push
from events.models import Event
from tagging.models import Segment
from tenants.scope import brand_scope
from tests.api.world import rows_of
from tests.cast import Cast
from tests.console.conftest import ConsoleClient
from tests.wecom.conftest import AES_KEY, TOKEN, connected, forget
from tests.wecom.test_callbacks import event_xml, sealed
from wecom.models import Corp, CorpApp, InboxItem
from wecom.simulator.testing import Simulator, running_simulator

LANGUAGES = ("zh-CN", "en")


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with running_simulator(guides=2, contacts=10, seed=3) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator, settings: Any) -> Simulator:
    settings.WECOM_API_BASE, settings.WECOM_TIMEOUT_SECONDS = running.api_base, 2
    forget()
    return running


@pytest.fixture
def nobody_there(settings: Any) -> Iterator[None]:
    """WeCom's address is a port where nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        settings.WECOM_API_BASE = f"http://127.0.0.1:{held.getsockname()[1]}/cgi-bin/"
        forget()
        yield


def alice(cast: Cast, language: str) -> ConsoleClient:
    client = ConsoleClient(headers={"accept-language": language})
    client.force_login(cast.alice.user)
    return client


def words(page: str) -> str:
    """What a person reads on the page."""
    return re.sub(r"\s+", " ", re.sub(r"<script.*?</script>|<[^>]+>", " ", page, flags=re.S))


# -- WeCom: a secret that is wrong or missing, and nobody there -------------------------------------------------------


def _connect(cast: Cast, language: str, **fields: str) -> Any:
    form = {"corpid": "ww-x", "name": "新企业", "agent_id": "1000002", "secret": "s", "quota_mode": "day_1", **fields}
    return alice(cast, language).post(f"/b/{cast.brand.slug}/console/wecom/connect/", form)


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"secret": "wr0ng-s3cret"}, "secret", {"zh-CN": "Secret 不正确.*企业微信管理后台", "en": "secret.*WeCom"}),
        ({"secret": " "}, "secret", {"zh-CN": "请填写", "en": "Fill"}),
        ({"corpid": ""}, "corpid", {"zh-CN": "请填写", "en": "Fill"}),
    ],
    ids=["wrong secret", "no secret", "no corp id"],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wrong_connection_is_named_at_its_field(cast, simulator, language, wrong, field, said):
    told, before = simulator.corps()[0], rows_of(cast.brand.pk)
    right = {"corpid": told["corpid"], "agent_id": str(told["apps"][0]["agentid"])}

    answer = _connect(cast, language, **{**right, "secret": told["apps"][0]["secret"], **wrong})

    page = answer.content.decode()
    assert answer.status_code == 422
    [(named, message)] = re.findall(
        r'o-field bad">(?:(?!</div>).)*? name="(\w+)"(?:(?!</div>).)*?<span class="error">(.*?)</span>', page, re.S
    )
    assert named == field
    [banner] = re.findall(r'<div class="o-problem.*?</div>', page, re.S)
    text = f"{message} {words(banner)}"  # what is wrong stands at the field, what to do above the form
    assert re.search(said[language], text, re.I | re.S), text
    assert "wr0ng-s3cret" not in page, "a secret never goes back into the page"
    assert rows_of(cast.brand.pk) == before


@pytest.mark.parametrize(("language", "said"), [("zh-CN", "连接不上企业微信.*检查"), ("en", "WeCom.*check")])
def test_an_unreachable_wecom_saves_nothing(cast, nobody_there, language, said):
    before = rows_of(cast.brand.pk)

    answer = _connect(cast, language)

    assert answer.status_code == 422
    [problem] = re.findall(r'<div class="o-problem.*?</div>', answer.content.decode(), re.S)
    assert re.search(said, problem, re.S), problem
    assert rows_of(cast.brand.pk) == before


def test_a_secret_reset_later_is_told_on_the_corps_page_in_both_languages(cast, simulator):
    link = connected(cast, simulator)
    with brand_scope(cast.brand.pk):
        CorpApp.objects.filter(corp=link.corp_id).update(secret="reset meanwhile")
    forget()
    path = f"/b/{cast.brand.slug}/console/wecom/{link.corp_id}/"

    verdicts = {language: alice(cast, language).post(f"{path}check/").content.decode() for language in LANGUAGES}
    pages = {language: words(alice(cast, language).get(path).content.decode()) for language in LANGUAGES}

    with brand_scope(cast.brand.pk):
        assert Corp.objects.get(pk=link.corp_id).trouble_code == "wecom.bad_secret"
    assert "Secret 不正确" in words(verdicts["zh-CN"])
    assert "Secret 不正确" in pages["zh-CN"]
    assert not re.search("Secret 不正确", words(verdicts["en"]) + pages["en"])
    assert re.search("secret is (wrong|not right)|wrong secret", words(verdicts["en"]), re.I), words(verdicts["en"])


# -- callbacks --------------------------------------------------------------------------------------------------------


def test_a_forged_or_cut_callback_leaves_nothing_and_a_replayed_one_is_one(cast, simulator):
    link = connected(cast, simulator)
    path = reverse("wecom-callback", args=[link.endpoint.pk])
    query, body = sealed(event_xml(link.corpid), corpid=link.corpid)
    before = rows_of(cast.brand.pk)

    def post(seal: dict[str, str], content: bytes) -> int:
        return Client().post(path, data=content, content_type="text/xml", query_params=seal).status_code

    assert post({**query, "msg_signature": "0" * 40}, body) == 400
    assert post(query, body[:-20]) == 400
    assert post(*sealed(event_xml(link.corpid), corpid=link.corpid, token=TOKEN[::-1], aes_key=AES_KEY)) == 400
    # The corp's row says that callbacks are being refused, once a minute; nothing else is written.
    assert {**rows_of(cast.brand.pk), "wecom_corp": before["wecom_corp"]} == before
    assert [post(query, body), post(query, body)] == [200, 200]
    with brand_scope(cast.brand.pk):
        assert InboxItem.objects.count() == 1


# -- events, segments, pushes: the API --------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_batch_with_bad_items_keeps_the_good(cast, language):
    good = {"id": str(uuid4()), "type": "sign_in", "occurred_at": datetime.now(UTC).isoformat()}
    good["identity"] = {"type": "unionid", "value": "o-1"}  # type: ignore[assignment]
    bad = [{**good, "type": "nope"}, {**good, "id": "7"}, {**good, "occurred_at": "today"}, "x"]

    answer = cast.alice.api("post", "/api/v1/events", {"events": [*bad, good]}, **{"Accept-Language": language})

    report = answer.json()
    assert (answer.status_code, report["accepted"], report["refused"]) == (200, 1, 4)
    fields = [[error["field"] for error in item["errors"]] for item in report["items"][:4]]
    assert fields == [["type"], ["id"], ["occurred_at"], [""]]
    assert [item["index"] for item in report["items"]] == [0, 1, 2, 3, 4]
    _in_language([error for item in report["items"][:4] for error in item["errors"]], language)
    with brand_scope(cast.brand.pk):
        assert [str(row.id) for row in Event.objects.all()] == [good["id"]]


@pytest.mark.parametrize(
    ("tree", "field"),
    [
        ({"all": [{"kind": "profile", "field": "shoe_size", "op": "eq", "value": "42"}]}, "tree.all[0].field"),
        ({"kind": "horoscope"}, "tree.kind"),
        ({"any": [{"kind": "event_recency", "event": "nope", "op": "within", "days": 3}]}, "tree.any[0].event"),
        ({"all": [], "most": []}, "tree"),
    ],
    ids=["field", "kind", "event", "group"],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_segment_with_something_unknown(cast, language, tree, field):
    before = rows_of(cast.brand.pk)

    answer = cast.alice.api(
        "post", "/api/v1/segments", {"name": "坏", "tree": tree}, idempotency_key="1", **{"Accept-Language": language}
    )

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    _in_language(answer.json()["errors"], language)
    assert rows_of(cast.brand.pk) == before
    with brand_scope(cast.brand.pk):
        assert not Segment.objects.exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_over_long_text(cast, language):
    before = rows_of(cast.brand.pk)
    body = {"name": "长", "text": "长" * 1334}

    answer = cast.alice.api("post", "/api/v1/contents", body, idempotency_key="1", **{"Accept-Language": language})

    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, ["text"])
    _in_language(answer.json()["errors"], language)
    assert rows_of(cast.brand.pk) == before


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_push_to_nobody_stays_a_draft(cast, language):
    api, said = cast.alice.api, {"Accept-Language": language}
    content = api("post", "/api/v1/contents", {"name": "会员日", "text": "有礼"}, idempotency_key="c").json()["id"]
    draft = {"name": "没有人", "variants": [{"content_id": content}]}
    push = api("post", "/api/v1/pushes", draft, idempotency_key="p").json()["id"]
    before = rows_of(cast.brand.pk)

    answer = api("post", f"/api/v1/pushes/{push}/send", {}, **said)

    body = answer.json()
    assert (answer.status_code, body["code"]) == (422, "campaigns.audience_empty")
    assert [error["field"] for error in body["errors"]] == ["segment_id"]
    _in_language(body["errors"], language)
    assert rows_of(cast.brand.pk) == before
    with brand_scope(cast.brand.pk):
        assert Push.objects.get().status == Push.Status.DRAFT


def _in_language(errors: list[dict[str, str]], language: str) -> None:
    """Every error has a message and a remedy, in the language that was asked for."""
    for error in errors:
        for text in (error["message"], error["remedy"]):
            assert text, error
            chinese = re.search(r"[一-鿿]", text) is not None
            assert chinese == (language == "zh-CN"), text

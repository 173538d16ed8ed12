"""The event catalogue and imports as an operator meets them."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from events import declared
from events.imports import jobs
from events.models import DeclaredType, Event, Import, ParkedEvent
from scrm.lib.ids import made_id
from tenants.actors import SYSTEM
from tenants.models import AuditEntry, Seat, User
from tenants.roles import Role
from tenants.scope import brand_scope
from tests.console.test_browser import log_in, problems  # noqa: F401 - a fixture

HISTORY = "手机号,下单时间,金额,备注\n13800138000,2026-11-01 12:00,99.90,老客\n13800138001,昨天,1,x\n".encode("gbk")


def at(cast, path):
    return f"/b/{cast.brand.slug}/console/{path}"


def uploaded(cast, client, raw=HISTORY, name="orders.csv"):
    file = SimpleUploadedFile(name, raw, "text/csv")
    return client.post(at(cast, "imports/upload/"), {"kind": "events", "file": file}, follow=True)


def to_the_end(cast, import_id):
    while jobs.step(brand_id=cast.brand.pk, import_id=import_id, at=timezone.now()):
        pass


def test_a_file_becomes_events_and_a_list_of_problems(live_cast, console):
    alice = console(live_cast.alice.user)
    shown = uploaded(live_cast, alice)
    with brand_scope(live_cast.brand.pk):
        job = Import.objects.get()
    place = at(live_cast, f"imports/{job.pk}/")
    assert shown.redirect_chain[-1][0].endswith(f"imports/{job.pk}/")
    assert '<option value="occurred_at" selected>' in shown.content.decode()  # guessed from the heading
    assert "老客" in shown.content.decode()  # the first rows are there to look at

    columns = {"column-0": "identity.phone", "column-1": "occurred_at", "column-2": "amount_yuan"}
    nothing_chosen = alice.post(place, columns)
    assert nothing_chosen.status_code == 422
    assert "还没有说明是哪种行为" in nothing_chosen.content.decode()
    alice.post(place, {**columns, "option-type": "order_paid"})
    assert 'hx-trigger="every' in alice.get(place).content.decode()
    to_the_end(live_cast, job.pk)

    ended = alice.get(at(live_cast, f"imports/{job.pk}/progress/")).content.decode()
    assert 'aria-valuenow="100"' in ended
    assert "hx-trigger" not in ended  # it stops asking
    errors = b"".join(alice.get(at(live_cast, f"imports/{job.pk}/errors.csv"))).decode("utf-8-sig").splitlines()
    assert errors[1:] == ["3,下单时间,读不懂这个时间。,写成 2026-11-20 12:00:00 的样子。,import.time"]
    with brand_scope(live_cast.brand.pk):
        event = Event.objects.get()
        assert (event.type, event.amount_fen, event.fires) == ("order_paid", 9990, False)
        assert AuditEntry.objects.get(action="import.start").actor == f"user:{live_cast.alice.user.pk}"


def test_a_file_that_is_none_says_so(live_cast, console):
    alice = console(live_cast.alice.user)

    refused = uploaded(live_cast, alice, b"PK\x03\x04\x00\x00", "orders.xlsx").content.decode()

    assert "CSV UTF-8" in refused
    assert "还没有导入过" in refused
    assert (
        "没有选择文件" in alice.post(at(live_cast, "imports/upload/"), {"kind": "events"}, follow=True).content.decode()
    )
    assert alice.post(at(live_cast, "imports/upload/"), {"kind": "people", "file": "x"}).status_code == 302


def test_a_type_is_declared_changed_and_removed_without_json(cast, console):
    alice = console(cast.alice.user)
    fields = {
        "prop-name": ["shelf", "price_fen", "", ""],
        "prop-type": ["text", "int", "text", "text"],
        "prop-label": ["货架", "", "", ""],
        "prop-unit": ["", "分", "", ""],
        "prop-required": ["1", "", "", ""],
    }

    wrong = alice.post(at(cast, "catalogue/"), {"name": "scan", "label": "扫码", **fields})
    assert wrong.status_code == 422
    assert "x_ 开头" in wrong.content.decode()
    assert 'value="price_fen"' in wrong.content.decode()  # what was typed is still there
    alice.post(at(cast, "catalogue/"), {"name": "x_scan", "label": "扫码", **fields})
    alice.post(at(cast, "catalogue/x_scan/"), {"label": "扫货架码", **fields})

    with brand_scope(cast.brand.pk):
        this = DeclaredType.objects.get()
        assert (this.label, list(this.props)) == ("扫货架码", ["shelf", "price_fen"])
        assert this.props["shelf"] == {"type": "text", "label": "货架", "unit": "", "required": True}
    assert "扫货架码" in alice.get(at(cast, "catalogue/")).content.decode()
    assert "扫货架码" in alice.get(at(cast, "tags/")).content.decode()  # offered where rules are made
    alice.post(at(cast, "catalogue/x_scan/remove/"))
    assert "还没有自有行为" in alice.get(at(cast, "catalogue/")).content.decode()


def test_what_a_reactor_could_not_take_is_shown_and_let_go(cast, console):
    now, alice = timezone.now(), console(cast.alice.user)
    with brand_scope(cast.brand.pk):
        ParkedEvent.objects.create(
            brand=cast.brand,
            reactor="points.rules",
            event_id=made_id("x"),
            occurred_at=now,
            type="order_paid",
            problem="ValueError (rules.py:7)",
            parked_at=now,
        )
    analyst = User.objects.create_user("analyst", password="orchard-analyst-1")
    Seat.objects.create(user=analyst, brand=cast.brand, role=Role.ANALYST)

    assert "ValueError (rules.py:7)" in alice.get(at(cast, "catalogue/")).content.decode()
    assert console(analyst).post(at(cast, "parked/discard/"), {"reactor": "points.rules"}).status_code == 403
    alice.post(at(cast, "parked/discard/"), {"reactor": "points.rules"})

    assert "ValueError" not in alice.get(at(cast, "catalogue/")).content.decode()


@pytest.mark.browser
@pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Chromium is not installed")
def test_an_import_in_the_browser(page, server, live_cast, problems, tmp_path):  # noqa: F811
    with brand_scope(live_cast.brand.pk):
        declared.save(name="x_scan", label="扫码", props={"shelf": {"type": "text"}}, actor=SYSTEM, at=timezone.now())
    path = tmp_path / "scans.csv"
    rows = "".join(f"1380013{n:04},2026/11/{1 + n % 20} 9:30,A{n % 7}\r\n" for n in range(3000))
    path.write_bytes(f"手机,时间,货架\r\n{rows}坏,2026/11/1,A1\r\n".encode("gb18030"))

    log_in(page, server, "alice")
    page.click("nav a:has-text('导入')")
    page.click("button:has-text('上传文件')")
    page.set_input_files("#i-file", str(path))
    page.click("dialog button:has-text('上传')")
    page.wait_for_selector("h2:has-text('scans.csv')")
    assert page.input_value("#column-0") == "identity.phone"
    page.select_option("#column-2", label="shelf")
    page.select_option("#o-type", "x_scan")
    page.click("button:has-text('开始导入')")
    bar = page.locator("[role=progressbar]")
    assert bar.get_attribute("aria-valuenow") == "0"
    with brand_scope(live_cast.brand.pk):
        import_id = Import.objects.get().pk

    jobs.step(brand_id=live_cast.brand.pk, import_id=import_id, at=timezone.now())
    page.wait_for_selector("[role=progressbar][aria-valuenow='33']")  # it moves by itself
    to_the_end(live_cast, import_id)
    page.wait_for_selector("[role=progressbar][aria-valuenow='100']")

    with page.expect_download() as waiting:
        page.click("a:has-text('下载问题清单')")
    said = Path(waiting.value.path()).read_text("utf-8-sig").splitlines()
    assert len(said) == 2
    assert said[1].startswith("3002,手机,")
    with brand_scope(live_cast.brand.pk):
        assert Event.objects.filter(type="x_scan").count() == 3000
    assert problems == []

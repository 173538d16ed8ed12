"""Operators read words: every act that the house writes into the audit trail, and every callback, has some."""

import ast
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from console import words
from tenants import audit
from tenants.actors import SYSTEM
from tenants.scope import brand_scope

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"[a-z_]+\.[a-z_]+")
WRITERS = {"record", "_record", "_audit", "_hurry"}


def acts_in(tree):
    """Codes of acts that calls of the audit trail are given."""
    for call in ast.walk(tree):
        name = isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", ""))
        if name in WRITERS:
            given = [*call.args, *(word.value for word in call.keywords if word.arg == "action")]
            for each in given:
                for node in ast.walk(each):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                        yield node.value


def test_every_act_and_every_kind_of_object_has_words():
    apps = [path.parent for path in ROOT.glob("*/apps.py")]
    written = {
        act
        for app in apps
        for path in app.rglob("*.py")
        for act in acts_in(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert len(written) > 50
    assert written - set(words.ACTS) == set()
    assert set(words.ACTS) - written == set()


@pytest.mark.parametrize(
    ("language", "said", "other"), [("zh-hans", "保存人群", "给客户打标签"), ("en", "Save segment", "Tag contacts")]
)
def test_the_audit_page_says_it_in_words(cast, console, language, said, other):
    at = timezone.now() - timedelta(minutes=5)
    with brand_scope(cast.brand.pk):
        audit.record(actor=SYSTEM, action="segment.save", object_type="segment", object_id=7, at=at)
        audit.record(actor=SYSTEM, action="tag.give", object_type="tag", object_id=8, at=at)
    alice = console(cast.alice.user)
    alice.cookies["django_language"] = language

    page = f"/b/{cast.brand.slug}/console/audit/"
    everything, chosen = (alice.get(page, asked).content.decode() for asked in ({}, {"action": "segment.save"}))

    assert f">{said}</td>" in everything
    assert f">{other}</td>" in everything
    assert f">{said}</td>" in chosen
    assert f">{other}</td>" not in chosen

"""Translations compiled without gettext."""

import gettext
from pathlib import Path

import django
import pytest

from scrm.runtime import messages

PO = r"""
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

msgid "果园"
msgstr "Orchard"

msgctxt "动词"
msgid "标签"
msgstr "to tag"

msgid "%(n)s 位客户"
msgid_plural "%(n)s 位客户们"
msgstr[0] "%(n)s contact"
msgstr[1] "%(n)s contacts"

msgid ""
"第一行\n"
"第二行"
msgstr "first\nsecond"

#, fuzzy
msgid "猜的"
msgstr "guessed"

msgid "没译"
msgstr ""

#~ msgid "旧的"
#~ msgstr "old"
"""


@pytest.fixture
def po(tmp_path: Path) -> Path:
    """A .po file with one of everything."""
    path = tmp_path / "django.po"
    path.write_text(PO, encoding="utf-8")
    return path


def test_gettext_reads_what_was_compiled(po):
    messages.write_mo(po.with_suffix(".mo"), messages.catalogue(messages.read_po(po)))

    with po.with_suffix(".mo").open("rb") as compiled:
        said = gettext.GNUTranslations(compiled)
    assert said.gettext("果园") == "Orchard"
    assert said.pgettext("动词", "标签") == "to tag"
    assert [said.ngettext("%(n)s 位客户", "%(n)s 位客户们", n) for n in (1, 2)] == ["%(n)s contact", "%(n)s contacts"]
    assert said.gettext("第一行\n第二行") == "first\nsecond"
    assert [said.gettext(text) for text in ("猜的", "没译", "旧的")] == ["猜的", "没译", "旧的"]


def test_agrees_with_gettexts_own_compiler():
    # Django's translators compile with msgfmt; the header's dates aside, ours must say the same.
    for path in Path(django.__path__[0]).glob("contrib/*/locale/zh_Hans/LC_MESSAGES/*.po"):
        ours, theirs = messages.catalogue(messages.read_po(path)), messages.read_mo(path.with_suffix(".mo"))
        assert {key: text for key, text in ours.items() if key} == {key: text for key, text in theirs.items() if key}


def test_an_unreadable_line_is_named(po):
    po.write_text(PO + '\nmsgid "half\n', encoding="utf-8")

    with pytest.raises(ValueError, match=r"django\.po:\d+: not a line"):
        messages.read_po(po)

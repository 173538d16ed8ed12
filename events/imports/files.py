"""Reading the tables people send: CSV in UTF-8 with or without a byte order mark, UTF-16 or GBK, as Excel writes it."""

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from django.utils.translation import gettext as _

from scrm.lib.errors import FieldError, Invalid

MAX_BYTES = 512 * 1024 * 1024
MAX_ROWS = 2_000_000
MAX_COLUMNS = 100
MAX_NAME = 100
PART_ROWS = 1000
PART_CHARACTERS = 1_000_000
DELIMITERS = ",\t;|"
LONGEST_LINE = 1_000_000
"""characters: more in one line is no table, and would be held in memory several times over"""
_PIECE = 1024 * 1024
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows as they stand in the file. Rows are counted as a spreadsheet does: the header is row 1."""

    first_row: int
    rows: int
    text: str


@dataclass(slots=True)
class Table:
    """A file that was opened. `parts` can be read once."""

    encoding: str
    delimiter: str
    header: list[str]
    parts: Iterator[Part]


def opened(file: BinaryIO, *, size: int) -> Table:
    """The file as a table; it must be seekable. Raises Invalid when it cannot be read, also while parts are read."""
    if size > MAX_BYTES:
        raise _bad("import.too_large", _("文件超过 %(most)d MB。") % {"most": MAX_BYTES >> 20}, _("分成几个文件。"))
    encoding = _encoding(file)
    file.seek(0)
    lines = _Lines(io.TextIOWrapper(file, encoding=encoding, newline=""))
    first = lines.peek()
    delimiter = max(DELIMITERS, key=first.count) if first.strip() else ","
    rows = _rows(lines, delimiter)
    header = [name.strip() for name in next(rows, [])]
    if not any(header):
        raise _bad("import.empty", _("文件是空的，或第一行没有列名。"), _("第一行写列名，从第二行起写数据。"))
    if len(header) > MAX_COLUMNS or any(len(name) > MAX_NAME for name in header):
        message = _("最多 %(columns)d 列，列名最长 %(most)d 个字符。") % {"columns": MAX_COLUMNS, "most": MAX_NAME}
        raise _bad("import.header", message, _("检查分隔符和引号，删去不需要的列。"))
    lines.taken()
    return Table(encoding, delimiter, header, _parts(lines, rows))


def rows_of(part: Part, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(row number, cells) of a part; empty rows are passed over."""
    reader = csv.reader(io.StringIO(part.text, newline=""), delimiter=delimiter)
    for number, cells in enumerate(reader, part.first_row):
        if any(cell.strip() for cell in cells):
            yield number, cells


def without(part: Part, delimiter: str, unwanted: Callable[[list[str]], bool]) -> tuple[str, set[int]]:
    """The part's text with every row emptied of which `unwanted(cells)` says so, and these rows' numbers.

    Rows keep their numbers."""
    lines = _Lines(io.StringIO(part.text, newline=""))
    kept, emptied = [], set()
    for number, cells in enumerate(csv.reader(lines, delimiter=delimiter), part.first_row):
        row = lines.taken()
        if unwanted(cells):
            emptied.add(number)
            row = "\n"
        kept.append(row)
    return "".join(kept), emptied


class _Lines:
    """The file's lines; remembers those that no row has claimed yet."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._kept: list[str] = []
        self._ahead: str | None = None

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._ahead if self._ahead is not None else self._read()
        self._ahead = None
        if not line:
            raise StopIteration
        self._kept.append(line)
        return line

    def peek(self) -> str:
        """The next line, which stays."""
        if self._ahead is None:
            self._ahead = self._read()
        return self._ahead

    def _read(self) -> str:
        line = str(self._text.readline(LONGEST_LINE + 1))
        if len(line) > LONGEST_LINE:
            message = _("有一行超过 %(most)s 个字符。") % {"most": f"{LONGEST_LINE:,}"}
            raise _bad("import.long_line", message, _("这多半不是表格：检查换行和引号。"))
        return line

    def taken(self) -> str:
        """The lines since this was last asked."""
        text = "".join(self._kept)
        self._kept.clear()
        return text


def _encoding(file: BinaryIO) -> str:
    """What the whole file can be read as: by its mark, else UTF-8, else GB 18030, which contains GBK."""
    file.seek(0)
    start = file.read(4)
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    for name in [marked] if marked else ["utf-8", "gb18030"]:
        if _reads_as(file, name):
            return name
    raise _bad(
        "import.encoding",
        _("读不出文件的编码：它不是 UTF-8，也不是 GBK。"),
        _("在 Excel 里另存为「CSV UTF-8（逗号分隔）」再上传；.xlsx 文件不能直接上传。"),
    )


def _reads_as(file: BinaryIO, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    file.seek(0)
    try:
        while piece := file.read(_PIECE):
            if "\0" in decoder.decode(piece):
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _rows(lines: _Lines, delimiter: str) -> Iterator[list[str]]:
    number = 0
    try:
        for number, cells in enumerate(csv.reader(lines, delimiter=delimiter), 1):
            if number > MAX_ROWS + 1:
                message = _("文件超过 %(most)s 行。") % {"most": f"{MAX_ROWS:,}"}
                raise _bad("import.too_long", message, _("分成几个文件。"))
            yield cells
    except csv.Error as broken:
        message = _("第 %(row)d 行读不下去：多半有一个引号没有配对。") % {"row": number + 1}
        raise _bad("import.quotes", message, _("补上或删去多余的双引号。")) from broken


def _parts(lines: _Lines, rows: Iterator[list[str]]) -> Iterator[Part]:
    first, count, size, kept = 2, 0, 0, list[str]()
    for _cells in rows:
        text = lines.taken()
        kept.append(text)
        count, size = count + 1, size + len(text)
        if count >= PART_ROWS or size >= PART_CHARACTERS:
            yield Part(first, count, "".join(kept))
            first, count, size, kept = first + count, 0, 0, []
    if count:
        yield Part(first, count, "".join(kept))


def _bad(code: str, message: str, remedy: str) -> Invalid:
    return Invalid(_("文件没有上传。"), errors=[FieldError("file", code, message, remedy)])

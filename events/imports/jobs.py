"""The life of an import: uploaded, mapped, imported part by part, done; and what remains of it."""

import csv
import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, BinaryIO

from celery import current_app
from django.core.cache import cache
from django.db import transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import MD5
from django.utils import translation
from django.utils.translation import gettext as _

from events.imports import files, kinds
from events.models import Import, ImportPart
from scrm.lib.errors import Conflict, Invalid, found
from tenants import audit
from tenants.actors import Actor
from tenants.models import Brand
from tenants.scope import brand_scope

logger = logging.getLogger(__name__)

PARTS_AT_ONCE = 20
"""parts stored per transaction while a file is uploaded"""
KEPT_FOR = timedelta(days=7)
"""the file's rows are thrown away so long after the import ended"""
FORGOTTEN_AFTER = timedelta(days=30)
"""an upload that nobody started"""
QUEUED_FOR_SECONDS = 30
MAX_NAME = 120
FORMULAS = tuple("=+-@\t\r\n＝＋－＠")
Status = Import.Status
_ENDED = (Status.DONE, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is, in rows."""

    rows: int
    done: int
    accepted: int
    duplicate: int
    refused: int

    @property
    def percent(self) -> int:
        """0 to 100."""
        return 100 * self.done // self.rows if self.rows else 100


def upload(
    *, brand_id: int, kind: str, name: str, file: BinaryIO, size: int, actor: Actor, language: str, at: datetime
) -> int:
    """Read a file and keep its rows; returns the import's id. Opens its own scopes: a large file takes seconds.

    Raises NotFound for an unknown kind, Invalid for a file that cannot be read: then nothing is kept."""
    this = kinds.kind_of(kind)
    table = files.opened(file, size=size)
    with brand_scope(brand_id):
        made = Import.objects.create(
            kind=kind,
            name=name.replace("\0", "")[-MAX_NAME:] or "import.csv",
            encoding=table.encoding,
            delimiter=table.delimiter,
            header=table.header,
            mapping={str(place): target for place, target in this.guess(table.header).items()},
            language=language,
            actor=actor.id,
            actor_label=actor.label,
            created_at=at,
        )
    try:
        rows = _keep(brand_id, made.pk, table)
        if not rows:
            raise files._bad("import.empty", _("文件里只有列名，没有数据。"), _("从第二行起写数据。"))
    except BaseException:
        with brand_scope(brand_id):
            _delete(made.pk)
        raise
    with brand_scope(brand_id):
        Import.objects.filter(pk=made.pk).update(status=Status.READY, rows=rows)
    return made.pk


def start(
    *, import_id: int, mapping: Mapping[int, str], options: Mapping[str, Any], actor: Actor, at: datetime
) -> None:
    """Begin to import, with columns (by place) as targets of the kind. Scoped, audited.

    Raises NotFound, Conflict if it has been started or cancelled, Invalid if something is not chosen right."""
    this = found(Import.objects.select_for_update(of=("self",)).filter(pk=import_id))
    if this.status != Status.READY:
        raise Conflict(
            _("这个导入已经开始或取消了。"), remedy=_("要再导入一次，请重新上传文件。"), code="import.started"
        )
    kind = kinds.kind_of(this.kind)
    chosen = {place: target for place, target in mapping.items() if target and 0 <= place < len(this.header)}
    if wrong := kind.check(chosen, options):
        raise Invalid(_("导入没有开始。"), errors=wrong)
    this.mapping = {str(place): target for place, target in chosen.items()}
    this.options = dict(options)
    this.status, this.started_at = Status.RUNNING, at
    this.save(update_fields=["mapping", "options", "status", "started_at"])
    after = {"kind": this.kind, "rows": this.rows, "mapping": this.mapping, "options": this.options}
    audit.record(actor=actor, action="import.start", object_type="import", object_id=this.pk, after=after, at=at)
    brand_id = this.brand_id
    transaction.on_commit(lambda: wake(brand_id, import_id), robust=True)


def cancel(*, import_id: int, actor: Actor, at: datetime) -> None:
    """Stop: rows that were imported stay. Scoped, audited. Raises NotFound, Conflict if it has ended."""
    this = found(Import.objects.select_for_update(of=("self",)).filter(pk=import_id))
    if this.status in _ENDED:
        raise Conflict(_("这个导入已经结束。"), code="import.ended")
    this.status, this.finished_at = Status.CANCELLED, at
    this.save(update_fields=["status", "finished_at"])
    audit.record(actor=actor, action="import.cancel", object_type="import", object_id=this.pk, at=at)


def step(*, brand_id: int, import_id: int, at: datetime) -> bool:
    """Import the next part; whether there may be more. Opens its own scopes.

    The part is marked in the transaction that writes its rows: killed in between, it is done again as a whole, and two
    workers at once do different parts or one waits and finds it done."""
    with brand_scope(brand_id):
        job = Import.objects.filter(pk=import_id, status=Status.RUNNING).first()
        if job is None:
            return False
        left = ImportPart.objects.filter(of=import_id, done_at=None).order_by("number")
        part = left.annotate(mark=MD5("text")).first()
        if part is None:
            Import.objects.filter(pk=import_id, status=Status.RUNNING).update(status=Status.DONE, finished_at=at)
            logger.info("events.import.done", extra={"brand": brand_id, "import": import_id})
            return False
        kind = kinds.kind_of(job.kind)
        with translation.override(job.language):
            read = kind.read(list(_rows(job, part)), job.options, at)
    kind.prepare(read)
    with brand_scope(brand_id):
        # Cancelling waits for us, or we find it cancelled.
        if not Import.objects.select_for_update(of=("self",)).filter(pk=import_id, status=Status.RUNNING).exists():
            return False
        # With another text than was read, somebody's rows have been erased meanwhile: it is read again.
        mine = ImportPart.objects.alias(mark=MD5("text")).filter(mark=part.mark)
        if mine.filter(of=import_id, number=part.number, done_at=None).update(done_at=at) != 1:
            return True
        outcome = kind.write(read, at)
        ImportPart.objects.filter(of=import_id, number=part.number).update(
            accepted=outcome.accepted,
            duplicate=outcome.duplicate,
            refused=read.refused,
            problems=[_line(job, problem) for problem in read.problems],
        )
    return True


def progress(import_id: int) -> Progress:
    """How far it is. Scoped."""
    sums = ImportPart.objects.filter(of=import_id).aggregate(
        all=Sum("rows"),
        done=Sum("rows", filter=Q(done_at__isnull=False)),
        accepted=Sum("accepted"),
        duplicate=Sum("duplicate"),
        refused=Sum("refused"),
        parts=Count("number"),
    )
    return Progress(*(int(sums[name] or 0) for name in ("all", "done", "accepted", "duplicate", "refused")))


def sample(this: Import, *, rows: int = 5) -> list[list[str]]:
    """The first rows of the file, for the operator to look at. Scoped."""
    part = ImportPart.objects.filter(of=this.pk).order_by("number").first()
    if part is None:
        return []
    kept = files.Part(part.first_row, part.rows, part.text)
    return [cells for _number, cells in islice(files.rows_of(kept, this.delimiter), rows)]


def error_file(*, brand_id: int, import_id: int) -> Iterator[bytes]:
    """Everything that was wrong as CSV: row, column, what, remedy, code. In UTF-8 with a mark, for Excel.

    Opens a scope of its own for each page, so that a slow reader holds none."""
    yield "\ufeff".encode() + _csv([[_("行"), _("列"), _("问题"), _("怎么办"), _("代码")]])
    after = -1
    while True:
        with brand_scope(brand_id):
            parts = ImportPart.objects.filter(of=import_id, number__gt=after, refused__gt=0).order_by("number")
            page = list(parts.values_list("number", "problems")[:PARTS_AT_ONCE])
        if not page:
            return
        for number, problems in page:
            after = number
            yield _csv([[row, column, what, remedy, code] for row, column, code, what, remedy in problems])


def wake(brand_id: int, import_id: int) -> None:
    """Queue the import's next steps, unless they are queued already."""
    if cache.add(_flag(brand_id, import_id), 1, timeout=QUEUED_FOR_SECONDS):
        arguments = {"brand_id": brand_id, "import_id": import_id}
        current_app.send_task("events.tasks.run_import", kwargs=arguments)


def taken(brand_id: int, import_id: int) -> None:
    """The queued message has arrived."""
    cache.delete(_flag(brand_id, import_id))


def sweep() -> None:
    """Wake the imports that a lost message or a dead worker left behind. Opens each brand's scope in turn."""
    for brand_id in Brand.objects.order_by("id").values_list("id", flat=True):
        with brand_scope(brand_id):
            running = list(Import.objects.filter(status=Status.RUNNING).values_list("pk", flat=True))
        for import_id in running:
            wake(brand_id, import_id)


def clean(*, at: datetime) -> int:
    """Throw away the rows of files whose import ended a week ago, and uploads that nobody started; how many files."""
    emptied = 0
    for brand_id in Brand.objects.order_by("id").values_list("id", flat=True):
        with brand_scope(brand_id):
            stale = Import.objects.filter(status__in=(Status.UPLOADING, Status.READY))
            stale.filter(created_at__lt=at - FORGOTTEN_AFTER).update(status=Status.CANCELLED, finished_at=at - KEPT_FOR)
            ended = Import.objects.filter(status__in=_ENDED, finished_at__lte=at - KEPT_FOR, emptied_at=None)
            ids = list(ended.values_list("pk", flat=True))
            ImportPart.objects.filter(of__in=ids).update(text="")
            emptied += Import.objects.filter(pk__in=ids).update(emptied_at=at)
    return emptied


def _keep(brand_id: int, import_id: int, table: files.Table) -> int:
    rows, number = 0, 0
    while batch := list(islice(table.parts, PARTS_AT_ONCE)):
        with brand_scope(brand_id):
            ImportPart.objects.bulk_create(
                ImportPart(
                    brand_id=brand_id,
                    of_id=import_id,
                    number=number + place,
                    first_row=part.first_row,
                    rows=part.rows,
                    text=part.text,
                )
                for place, part in enumerate(batch)
            )
        number += len(batch)
        rows += sum(part.rows for part in batch)
    return rows


def _delete(import_id: int) -> None:
    ImportPart.objects.filter(of=import_id).delete()
    Import.objects.filter(pk=import_id).delete()


def _rows(job: Import, part: ImportPart) -> Iterator[kinds.Row]:
    mapping = {int(place): target for place, target in job.mapping.items()}
    for number, cells in files.rows_of(files.Part(part.first_row, part.rows, part.text), job.delimiter):
        named = {mapping[place]: cell.strip() for place, cell in enumerate(cells) if place in mapping and cell.strip()}
        yield kinds.Row(number, named)


def _line(job: Import, problem: kinds.Problem) -> list[Any]:
    place = next((place for place, target in job.mapping.items() if target == problem.target), None)
    column = job.header[int(place)] if place is not None else problem.target
    error = problem.error
    return [problem.row, column, error.code, str(error.message), str(error.remedy)]


def _csv(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _harmless(cell: Any) -> Any:
    """A spreadsheet takes text that begins so for a formula, in Chinese and Japanese versions in full width, too."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULAS) else cell


def _flag(brand_id: int, import_id: int) -> str:
    return f"events:import:{brand_id}:{import_id}"

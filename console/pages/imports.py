"""导入: files with rows that become events (or what else a kind makes of them), from upload to the error file."""

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, HttpResponseRedirect, QueryDict, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from console.keyset import page_of
from console.site import BrandRequest, page, part, render, told, told_problem
from events.imports import jobs, kinds
from events.models import Import
from scrm.lib import errors
from tagging.language import event_types
from tenants.roles import Capability
from tenants.scope import brand_scope

NEEDS = Capability.WRITE_CONTACTS
SAMPLE_ROWS = 3


@page("imports/", name="imports", needs=NEEDS)
def import_list(request: BrandRequest) -> HttpResponse:
    """The brand's imports, the latest first, and a form to upload a file."""
    shown = page_of(Import.objects.exclude(status=Import.Status.UPLOADING), request.GET)
    rows = [(each, _label(each), jobs.progress(each.pk)) for each in shown.rows]
    context = {"shown": shown, "rows": rows, "kinds": kinds.kinds()}
    return render(request, "imports.html", context, title=_("导入"))


@page("imports/upload/", name="import-upload", needs=NEEDS, methods=("POST",), own_scopes=True)
def upload(request: BrandRequest) -> HttpResponse:
    """Take a file; its columns are chosen on the next page."""
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        told_problem(request, errors.Refused(_("没有选择文件。"), remedy=_("选择一个 CSV 文件再上传。")))
        return HttpResponseRedirect(reverse("admin:imports"))
    try:
        import_id = jobs.upload(
            brand_id=request.brand.pk,
            kind=request.POST.get("kind", ""),
            name=file.name or "",
            file=file,  # type: ignore[arg-type]
            size=file.size or 0,
            actor=request.actor,
            language=translation.get_language() or "zh-hans",
            at=timezone.now(),
        )
    except errors.Invalid as refusal:
        told_problem(request, refusal)
        return HttpResponseRedirect(reverse("admin:imports"))
    return HttpResponseRedirect(reverse("admin:import", args=[import_id]))


@page("imports/<int:import_id>/", name="import", needs=NEEDS, methods=("GET", "POST"))
def one(request: BrandRequest, import_id: int) -> HttpResponse:
    """One import: its columns while it waits, its progress while it runs, what came of it. POST starts it."""
    this = errors.found(Import.objects.filter(pk=import_id))
    problem = None
    if request.method == "POST":
        mapping, options = _mapping(request.POST, this), _options(request.POST, this)
        try:
            jobs.start(import_id=this.pk, mapping=mapping, options=options, actor=request.actor, at=timezone.now())
        except errors.Invalid as refusal:
            problem = refusal
            this.mapping = {str(place): target for place, target in mapping.items()}
            this.options = options
        else:
            told(request, _("导入开始了。可以离开这个页面，稍后回来看。"))
            return HttpResponseRedirect(reverse("admin:import", args=[this.pk]))
    context = _state(this) | {"problem": problem}
    if this.status == Import.Status.READY:
        context |= _choices(this)
    return render(request, "import.html", context, title=this.name, status=422 if problem else 200)


@page("imports/<int:import_id>/progress/", name="import-progress", needs=NEEDS)
def progress(request: BrandRequest, import_id: int) -> HttpResponse:
    """How far it is; asks again by itself until it has ended."""
    return part(request, "import_progress.html", _state(errors.found(Import.objects.filter(pk=import_id))))


@page("imports/<int:import_id>/cancel/", name="import-cancel", needs=NEEDS, methods=("POST",))
def cancel(request: BrandRequest, import_id: int) -> HttpResponse:
    """Stop it; what was imported stays."""
    try:
        jobs.cancel(import_id=import_id, actor=request.actor, at=timezone.now())
    except errors.Conflict as late:
        told_problem(request, late)
    else:
        told(request, _("导入已取消，已导入的行保留。"))
    return HttpResponseRedirect(reverse("admin:import", args=[import_id]))


@page("imports/<int:import_id>/errors.csv", name="import-errors", needs=NEEDS, own_scopes=True)
def error_file(request: BrandRequest, import_id: int) -> HttpResponse:
    """Everything that was wrong, row by row, for a spreadsheet."""
    with brand_scope(request.brand.pk):
        errors.found(Import.objects.filter(pk=import_id))
    lines = jobs.error_file(brand_id=request.brand.pk, import_id=import_id)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="import-{import_id}-errors.csv"'
    return response  # type: ignore[return-value]


def _state(this: Import) -> dict[str, Any]:
    return {
        "import": this,
        "kind": _label(this),
        "progress": jobs.progress(this.pk),
        "running": this.status == Import.Status.RUNNING,
        "ended": this.status in (Import.Status.DONE, Import.Status.CANCELLED),
    }


def _choices(this: Import) -> dict[str, Any]:
    kind = kinds.kind_of(this.kind)
    groups: dict[str, list[tuple[str, str]]] = {}
    for target in kind.targets():
        groups.setdefault(str(target.group), []).append((target.name, _called(target)))
    sample = jobs.sample(this, rows=SAMPLE_ROWS)
    offered = {name for targets in groups.values() for name, _called in targets}
    columns = []
    for place, name in enumerate(this.header):
        chosen = this.mapping.get(str(place), "")
        cells = [row[place] for row in sample if place < len(row) and row[place].strip()]
        # A property that the catalogue does not declare is named by the column's own heading.
        columns.append((place, name, cells, chosen, chosen if chosen not in offered else ""))
    options = [(option, this.options.get(option.name, "")) for option in kind.options()]
    return {"groups": groups, "columns": columns, "options": options}


def _called(target: kinds.Target) -> str:
    """A property of the catalogue by the name that the segment builder has for it."""
    prop = target.name.removeprefix("props.")
    return event_types.prop_label(prop) if str(target.label) == prop else str(target.label)


def _mapping(form: QueryDict, this: Import) -> dict[int, str]:
    chosen = {place: form.get(f"column-{place}", "") for place in range(len(this.header))}
    return {place: target for place, target in chosen.items() if target}


def _options(form: QueryDict, this: Import) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for option in kinds.kind_of(this.kind).options():
        value = form.get(f"option-{option.name}", "").strip()[:200]
        said[option.name] = bool(value) if option.type == "flag" else value
    return said


def _label(this: Import) -> str:
    return str(kinds.kind_of(this.kind).label)

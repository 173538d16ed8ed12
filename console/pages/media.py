"""素材: the brand's pictures, videos and files; uploading one from wherever it is needed, and looking at it."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.contents import media_use
from console.keyset import page_of
from console.site import BrandRequest, page, render, told, told_problem
from media import copies, keeping, serving
from media.looking import too_large
from media.models import Kept, Kind
from scrm.lib import errors
from tenants.roles import Capability
from tenants.scope import brand_scope

READ, WRITE = Capability.READ_PUSHES, Capability.WRITE_PUSHES


@page("media/", name="media", needs=READ)
def library(request: BrandRequest) -> HttpResponse:
    """Every file with where it is shown and until when it is kept."""
    kind = request.GET.get("kind", "")
    rows = Kept.objects.filter(kind=kind) if kind in Kind.values else Kept.objects.all()
    shown = page_of(rows, request.GET)
    ids = [row.pk for row in shown.rows]
    used, troubles = media_use.used_in(media_ids=ids), copies.troubles(media_ids=ids)
    lines = [
        {
            "row": row,
            "used": used.get(row.pk, 0),
            "until": row.unused_since + keeping.KEPT_UNUSED if row.unused_since else None,
            "trouble": troubles.get(row.pk),
        }
        for row in shown.rows
    ]
    context = {"shown": shown, "lines": lines, "kind": kind, "kinds": [("", _("全部")), *Kind.choices]}
    return render(request, "media.html", context, title=_("素材"))


@page("media/upload/", name="media-upload", needs=WRITE, methods=("POST",), own_scopes=True)
def upload(request: BrandRequest) -> HttpResponse:
    """Keep the file of the form's field `file`: what it is as JSON, or a 422 with what is wrong and what to do."""
    given = request.FILES.get("file")
    try:
        if given is None:
            raise errors.Invalid(_("没有选择文件。"), remedy=_("请选择一个文件。"))
        if given.size is None:
            raise too_large()
        row, _is_new = keeping.keep(
            brand_id=request.brand.pk,
            upload=given,
            name=str(given.name or ""),
            kind=request.POST.get("kind", ""),
            actor=request.actor,
            at=timezone.now(),
        )
    except errors.Invalid as refusal:
        return JsonResponse({"problem": _sentence(refusal)}, status=422)
    return JsonResponse(described(row), status=201)


@page("media/<int:media_id>/file/", name="media-file", needs=READ, own_scopes=True)
def file(request: BrandRequest, media_id: int) -> HttpResponse:
    """The file itself."""
    with brand_scope(request.brand.pk):
        row = errors.found(Kept.objects.filter(pk=media_id))
    return serving.answer(row)


@page("media/<int:media_id>/delete/", name="media-delete", needs=WRITE, methods=("POST",), own_scopes=True)
def delete(request: BrandRequest, media_id: int) -> HttpResponse:
    """Delete a file that nothing shows."""
    try:
        keeping.remove(brand_id=request.brand.pk, media_id=media_id, actor=request.actor, at=timezone.now())
        told(request, _("素材已删除。"))
    except errors.Conflict as used:
        told_problem(request, used)
    return HttpResponseRedirect(reverse("admin:media"))


def described(row: Kept) -> dict[str, Any]:
    """A file for the picker's script."""
    return {"id": row.pk, "kind": row.kind, "name": row.name, "url": reverse("admin:media-file", args=[row.pk])}


def _sentence(refusal: errors.Invalid) -> str:
    if not refusal.errors:
        return f"{refusal.detail} {refusal.remedy}".strip()
    return " ".join(f"{error.message} {error.remedy}".strip() for error in refusal.errors)

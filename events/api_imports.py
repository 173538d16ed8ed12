"""Imports by REST: upload a file or a text, say which column is what, look how far it is, fetch what was wrong."""

import io
from collections.abc import Iterator
from datetime import UTC
from typing import Any, ClassVar

from django.core.files.uploadedfile import UploadedFile
from django.http import StreamingHttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from events.imports import jobs, kinds
from events.models import Import
from scrm.lib.errors import FieldError, Forbidden, Invalid, found
from tenants.api import BrandAPIView
from tenants.api_body import JSONBody
from tenants.scope import brand_scope


class UploadIn(serializers.Serializer):
    """A file (multipart/form-data), or its text (JSON, at most 4 MB)."""

    kind = serializers.CharField(default="events", help_text="events, or another kind of the console's imports page")
    name = serializers.CharField(max_length=120, required=False)
    text = serializers.CharField(required=False, trim_whitespace=False, help_text="the CSV, its first line the header")
    file = serializers.FileField(required=False, help_text="instead of text: CSV in UTF-8, UTF-16 or GBK")


class StartIn(serializers.Serializer):
    """Which column is what."""

    mapping = serializers.DictField(
        child=serializers.CharField(max_length=80), help_text="column's name → identity.phone, occurred_at, props.page…"
    )
    options = serializers.DictField(required=False, help_text="type, corpid, appid, fires (false unless asked)")


class ImportOut(serializers.ModelSerializer):
    """An import and how far it is."""

    class Meta:
        model = Import
        fields = [
            *("id", "kind", "name", "status", "encoding", "header", "mapping", "options"),
            *("created_at", "started_at", "finished_at", "rows", "done", "accepted", "duplicate", "refused"),
        ]

    mapping = serializers.SerializerMethodField(help_text="column's name → target; before the start what was guessed")
    created_at = serializers.DateTimeField(default_timezone=UTC)
    started_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    finished_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    done = serializers.IntegerField(read_only=True, help_text="rows that were looked at; all numbers are rows")
    accepted = serializers.IntegerField(read_only=True)
    duplicate = serializers.IntegerField(read_only=True)
    refused = serializers.IntegerField(read_only=True)

    def get_mapping(self, row: Import) -> dict[str, str]:
        """By name: places are the database's business."""
        return {row.header[int(place)]: target for place, target in row.mapping.items()}

    def to_representation(self, row: Import) -> dict[str, Any]:
        """With the sums of its parts. Scoped."""
        so_far = jobs.progress(row.pk)
        for name in ("done", "accepted", "duplicate", "refused"):
            setattr(row, name, getattr(so_far, name))
        return dict(super().to_representation(row))


class Imports(BrandAPIView):
    """Upload."""

    scope: ClassVar[str] = "events:write"
    parser_classes = (JSONBody, MultiPartParser)

    @extend_schema(summary="上传导入文件", tags=["imports"], request=UploadIn, responses={201: ImportOut})
    def post(self, request: Request) -> Response:
        """Read and keep a file: nothing is imported until `POST imports/{id}/start`. Uploading twice makes two imports,
        but importing both doubles nothing: an event's id is made of what its row says. `kind: tags` gives tags, and
        wants the scope `tags:write`, too."""
        data = self.validated(UploadIn)
        _check_scope(self, data["kind"])
        file = data.get("file")
        if isinstance(file, UploadedFile):
            content, size = file, file.size or 0
        elif "text" in data:
            raw = data["text"].encode(errors="replace")
            content, size = io.BytesIO(raw), len(raw)  # type: ignore[assignment]
        else:
            message = _("缺少文件：用 multipart/form-data 上传 file，或在 JSON 里给出 text。")
            raise Invalid(_("有字段不正确。"), errors=[FieldError("file", "import.missing", message)])
        import_id = jobs.upload(
            brand_id=self.brand_id,
            kind=data["kind"],
            name=data.get("name") or getattr(file, "name", "") or "api.csv",
            file=content,  # type: ignore[arg-type]
            size=size,
            actor=self.caller.actor,
            language=translation.get_language() or "zh-hans",
            at=timezone.now(),
        )
        with brand_scope(self.brand_id):
            return Response(ImportOut(Import.objects.get(pk=import_id)).data, status=201)


class OneImport(BrandAPIView):
    """One import."""

    scope: ClassVar[str] = "events:write"

    @extend_schema(summary="导入进度", tags=["imports"], responses=ImportOut)
    def get(self, request: Request, import_id: int) -> Response:
        """How far it is."""
        with brand_scope(self.brand_id):
            return Response(ImportOut(found(Import.objects.filter(pk=import_id))).data)

    @extend_schema(summary="取消导入", tags=["imports"], responses=ImportOut)
    def delete(self, request: Request, import_id: int) -> Response:
        """Stop it. What was imported stays. 409 if it has ended."""
        with brand_scope(self.brand_id):
            jobs.cancel(import_id=import_id, actor=self.caller.actor, at=timezone.now())
            return Response(ImportOut(Import.objects.get(pk=import_id)).data)


class StartImport(BrandAPIView):
    """Begin."""

    scope: ClassVar[str] = "events:write"

    @extend_schema(summary="开始导入", tags=["imports"], request=StartIn, responses=ImportOut)
    def post(self, request: Request, import_id: int) -> Response:
        """Begin, with columns as targets of the kind; the rest are left out. 409 if it has begun, so a repeat does no
        harm."""
        data = self.validated(StartIn)
        with brand_scope(self.brand_id):
            this = found(Import.objects.filter(pk=import_id))
            _check_scope(self, this.kind)
            unknown = sorted(data["mapping"].keys() - set(this.header))
            if unknown:
                message = _("文件里没有这一列：%(name)s。") % {"name": unknown[0][:60]}
                raise Invalid(_("导入没有开始。"), errors=[FieldError("mapping", "import.column", message)])
            jobs.start(
                import_id=import_id,
                mapping={this.header.index(name): target for name, target in data["mapping"].items()},
                options=data.get("options", {}),
                actor=self.caller.actor,
                at=timezone.now(),
            )
            return Response(ImportOut(Import.objects.get(pk=import_id)).data)


class ImportErrors(BrandAPIView):
    """What was wrong."""

    scope: ClassVar[str] = "events:write"

    @extend_schema(
        summary="导入问题清单",
        tags=["imports"],
        parameters=[OpenApiParameter("import_id", int, OpenApiParameter.PATH)],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, import_id: int) -> StreamingHttpResponse:
        """CSV in UTF-8 with a byte order mark: row (the header is row 1), column, what, remedy, code."""
        with brand_scope(self.brand_id):
            found(Import.objects.filter(pk=import_id))
        lines: Iterator[bytes] = jobs.error_file(brand_id=self.brand_id, import_id=import_id)
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")


def _check_scope(view: BrandAPIView, kind: str) -> None:
    """Who may import events may not give tags by it."""
    needed = kinds.kind_of(kind).scope
    if needed not in view.caller.scopes:
        raise Forbidden(_("这个密钥没有 %s 权限。") % needed, remedy=_("在 设置 › API 密钥 新建一个有这个权限的密钥。"))

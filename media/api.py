"""Kept media by REST: upload, list, read, download, delete."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from media import keeping, serving
from media.looking import LARGEST_OF_ALL, MB, too_large
from media.models import Kept, Kind
from scrm.lib.errors import FieldError, Invalid, found
from tenants.api import BrandAPIView
from tenants.scope import brand_scope

PAGE = [OpenApiParameter("cursor", str), OpenApiParameter("limit", int, description="1–200, 50 unless given")]


class FileBody(MultiPartParser):
    """multipart/form-data up to the largest file and a little more; the rest is refused before it is read."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """The fields and files. Raises Invalid `media.too_large`."""
        request = (parser_context or {})["request"]
        if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_OF_ALL + MB:
            raise too_large()
        return super().parse(stream, media_type=media_type, parser_context=parser_context)


class MediaIn(serializers.Serializer):
    """A file. What it is, its content says; WeCom takes JPG and PNG up to 10 MB, MP4 up to 10 MB, files up to 20 MB."""

    file = serializers.FileField(allow_empty_file=True, max_length=1000)
    kind = serializers.CharField(
        default="", allow_blank=True, help_text="image, video or file; by the content unless given"
    )


class MediaOut(serializers.Serializer):
    """A kept file. Contents name it by `id` as `media`."""

    id = serializers.IntegerField()
    kind = serializers.CharField(help_text=", ".join(Kind.values))
    name = serializers.CharField()
    size = serializers.IntegerField(help_text="bytes")
    sha256 = serializers.CharField()
    content_type = serializers.CharField()
    width = serializers.IntegerField(allow_null=True, help_text="pixels")
    height = serializers.IntegerField(allow_null=True, help_text="pixels")
    seconds = serializers.FloatField(allow_null=True)
    created_at = serializers.DateTimeField()
    unused_since = serializers.DateTimeField(
        allow_null=True, help_text="null while something names it; it is deleted 30 days later"
    )


class MediaPage(serializers.Serializer):
    """A page of files."""

    items = MediaOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class Media(BrandAPIView):
    """The brand's kept files."""

    scopes = {"GET": "pushes:read", "POST": "pushes:write"}
    parser_classes = [FileBody]

    @extend_schema(
        operation_id="media_list",
        parameters=[*PAGE, OpenApiParameter("kind", str, enum=Kind.values)],
        responses=MediaPage,
    )
    def get(self, request: Request) -> Response:
        """List files, oldest first."""
        kind = str(request.query_params.get("kind", ""))
        if kind and kind not in Kind.values:
            wrong = FieldError("kind", "choice.unknown", _("没有这个值。"), _("可选：%s。") % "、".join(Kind.values))
            raise Invalid(_("有字段不正确。"), errors=[wrong])
        with brand_scope(self.brand_id):
            rows = Kept.objects.filter(kind=kind) if kind else Kept.objects.all()
            return self.page(rows, key="id", out=_shown)

    @extend_schema(
        operation_id="media_upload",
        request={"multipart/form-data": MediaIn},
        responses={
            201: MediaOut,
            200: OpenApiResponse(MediaOut, description="this very file was here already"),
            422: OpenApiResponse(description="media.*: not a picture, too large, broken …, with the remedy"),
        },
    )
    def post(self, request: Request) -> Response:
        """Keep a file (multipart field `file`). The same bytes under the same name are kept once, so a retry is safe
        without an Idempotency-Key."""
        data = self.validated(MediaIn)
        upload = data["file"]
        row, is_new = keeping.keep(
            brand_id=self.brand_id,
            upload=upload,
            name=str(upload.name or ""),
            kind=data["kind"],
            actor=self.caller.actor,
            at=timezone.now(),
        )
        return Response(_shown(row), status=201 if is_new else 200)


class OneMedia(BrandAPIView):
    """One kept file."""

    scopes = {"GET": "pushes:read", "DELETE": "pushes:write"}

    @extend_schema(operation_id="media_read", responses=MediaOut)
    def get(self, request: Request, media_id: int) -> Response:
        """Read about a file."""
        with brand_scope(self.brand_id):
            return Response(_shown(found(Kept.objects.filter(pk=media_id))))

    @extend_schema(operation_id="media_delete", responses={204: None})
    def delete(self, request: Request, media_id: int) -> Response:
        """Delete a file. 409 `media.in_use` while a content or a welcome names it."""
        keeping.remove(brand_id=self.brand_id, media_id=media_id, actor=self.caller.actor, at=timezone.now())
        return Response(status=204)


class MediaBytes(BrandAPIView):
    """The bytes of a kept file."""

    scope = "pushes:read"

    @extend_schema(operation_id="media_download", responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, media_id: int) -> HttpResponse:
        """Download a file."""
        with brand_scope(self.brand_id):
            row = found(Kept.objects.filter(pk=media_id))
        return serving.answer(row)


FIELDS = ("id", "kind", "name", "size", "sha256", "content_type", "width", "height", "seconds", "created_at")


def _shown(row: Kept) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (*FIELDS, "unused_since")}

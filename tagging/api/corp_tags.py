"""/api/v1/corp-tags: which tags stand in WeCom too, and how the two sides are kept the same."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from scrm.lib.errors import found
from tagging.api.asked import KEY, PAGING, named, number, row_id, wrong
from tagging.corp import corp_tags
from tagging.models import CorpTag, Segment, Tag, TagLibrary
from tenants.api import BrandAPIView
from tenants.scope import brand_scope
from wecom.models import Corp


class LibraryIn(serializers.Serializer):
    """How a corp's tags and the brand's are kept the same."""

    is_on = serializers.BooleanField()
    imports_new = serializers.BooleanField(default=True, help_text="a tag that is new in WeCom becomes a tag here")


class LibraryOut(serializers.Serializer):
    """A corp's tags: whether they are kept the same, and the rounds in which this is done."""

    corp_id = serializers.IntegerField()
    corpid = serializers.CharField(help_text="WeCom's")
    name = serializers.CharField()
    is_on = serializers.BooleanField()
    imports_new = serializers.BooleanField()
    linked = serializers.IntegerField(help_text="corp tags that stand for a tag or a segment")
    next_round_at = serializers.DateTimeField(allow_null=True, help_text="when the two sides are compared next")
    round_ended_at = serializers.DateTimeField(allow_null=True, help_text="when a whole round last ended")
    library_read_at = serializers.DateTimeField(allow_null=True, help_text="when WeCom's list was last read")
    problem = serializers.CharField(allow_blank=True, help_text="why the last round could not go on")


class LibraryPage(serializers.Serializer):
    """A page of corps."""

    items = LibraryOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class CorpTagIn(serializers.Serializer):
    """What is to stand in the corp's WeCom: a tag, or a segment as its shadow tag."""

    corp_id = row_id()
    tag_id = row_id(required=False, allow_null=True, default=None)
    segment_id = row_id(required=False, allow_null=True, default=None)


class CorpTagOut(serializers.Serializer):
    """A tag of a corp."""

    id = serializers.IntegerField()
    corp_id = serializers.IntegerField()
    group = serializers.CharField()
    name = serializers.CharField()
    wecom_id = serializers.CharField(allow_blank=True, help_text="empty until WeCom has made it")
    state = serializers.CharField(help_text="known (stands for nothing), wanted, adding, linked or gone")
    tag_id = serializers.IntegerField(allow_null=True, help_text="the tag that it stands for")
    segment_id = serializers.IntegerField(allow_null=True, help_text="the segment whose members carry it")
    problem = serializers.CharField(allow_blank=True)


class CorpTagPage(serializers.Serializer):
    """A page of corp tags."""

    items = CorpTagOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class Libraries(BrandAPIView):
    """The brand's corps and their tags."""

    scope: ClassVar[str] = "tags:read"

    @extend_schema(
        operation_id="tag_libraries_list",
        summary="企业标签库列表",
        tags=["corp-tags"],
        parameters=PAGING,
        responses=LibraryPage,
    )
    def get(self, request: Request) -> Response:
        """Every corp of the brand, and how its tags are kept the same as ours."""
        with brand_scope(self.brand_id):
            return self.page(Corp.objects.all(), key="id", out=_library)


class OneLibrary(BrandAPIView):
    """How one corp's tags are kept the same."""

    scopes: ClassVar[dict[str, str]] = {"GET": "tags:read", "PUT": "tags:write"}

    @extend_schema(summary="查看企业标签库", tags=["corp-tags"], responses=LibraryOut)
    def get(self, request: Request, corp_id: int) -> Response:
        """How the corp's tags stand, and how far the rounds are."""
        with brand_scope(self.brand_id):
            return Response(_library(found(Corp.objects.filter(pk=corp_id))))

    @extend_schema(summary="设置企业标签同步", tags=["corp-tags"], request=LibraryIn, responses=LibraryOut)
    def put(self, request: Request, corp_id: int) -> Response:
        """Turn the sync on or off. On: a round begins within seconds, then every ten minutes. Off: both sides keep what
        they have."""
        data = self.validated(LibraryIn)
        with brand_scope(self.brand_id):
            made = corp_tags.set_library(corp_id=corp_id, actor=self.caller.actor, at=timezone.now(), **data)
            return Response(_library(made.corp))


class Round(BrandAPIView):
    """A round out of turn."""

    scope: ClassVar[str] = "tags:write"

    @extend_schema(summary="立即同步企业标签", tags=["corp-tags"], request=None, responses=LibraryOut)
    def post(self, request: Request, corp_id: int) -> Response:
        """Compare the two sides now, WeCom's list of tags included; read `round_ended_at` to see when it is over.
        Repeating it does no harm. 409 `tagging.sync_off` while the sync is off."""
        with brand_scope(self.brand_id):
            made = corp_tags.begin_round(corp_id=corp_id, actor=self.caller.actor, at=timezone.now())
            return Response(_library(made.corp))


class CorpTags(BrandAPIView):
    """Corp tags."""

    scopes: ClassVar[dict[str, str]] = {"GET": "tags:read", "POST": "tags:write"}

    @extend_schema(
        operation_id="corp_tags_list",
        summary="企业标签列表",
        tags=["corp-tags"],
        parameters=[*PAGING, OpenApiParameter("corp_id", int, description="of this corp only")],
        responses=CorpTagPage,
    )
    def get(self, request: Request) -> Response:
        """Tags as WeCom last listed them, and those that are still to be made there, with what each stands for."""
        corp_id = request.query_params.get("corp_id")
        rows: QuerySet[CorpTag] = CorpTag.objects.all()
        if corp_id is not None:
            rows = rows.filter(corp=number(corp_id, "corp_id"))
        with brand_scope(self.brand_id):
            return self.page(rows, key="id", out=_corp_tag)

    @extend_schema(
        summary="同步一个标签到企业微信",
        tags=["corp-tags"],
        parameters=[KEY],
        request=CorpTagIn,
        responses={201: CorpTagOut},
    )
    def post(self, request: Request) -> Response:
        """Have a tag in WeCom too (`tag_id`: tied to the corp's tag of that group and name, made if need be), or a
        segment's members by a shadow tag (`segment_id`). It turns the sync on. 409 `tagging.linked_already`."""
        data = self.validated(CorpTagIn)
        if (data["tag_id"] is None) == (data["segment_id"] is None):
            raise wrong(
                "tag_id", _("tag_id 和 segment_id 要填一个，也只填一个。"), _("标签填 tag_id，人群填 segment_id。")
            )

        def act() -> tuple[int, dict[str, Any]]:
            said: dict[str, Any] = {"corp_id": data["corp_id"], "actor": self.caller.actor, "at": timezone.now()}
            named(Corp.objects.all(), "corp_id", data["corp_id"])
            if data["tag_id"] is not None:
                named(Tag.objects.all(), "tag_id", data["tag_id"])
                return 201, _corp_tag(corp_tags.link(tag_id=data["tag_id"], **said))
            named(Segment.objects.filter(archived_at=None), "segment_id", data["segment_id"])
            return 201, _corp_tag(corp_tags.shadow(segment_id=data["segment_id"], **said))

        return self.idempotent(act)


class OneCorpTag(BrandAPIView):
    """One corp tag."""

    scopes: ClassVar[dict[str, str]] = {"GET": "tags:read", "DELETE": "tags:write"}

    @extend_schema(summary="查看企业标签", tags=["corp-tags"], responses=CorpTagOut)
    def get(self, request: Request, corp_tag_id: int) -> Response:
        """The tag, what it stands for, and what is in its way."""
        with brand_scope(self.brand_id):
            return Response(_corp_tag(found(CorpTag.objects.filter(pk=corp_tag_id))))

    @extend_schema(summary="不再同步企业标签", tags=["corp-tags"], request=None, responses=CorpTagOut)
    def delete(self, request: Request, corp_tag_id: int) -> Response:
        """Tie it to nothing any more. Both sides keep what they have; WeCom's tag stays in the list."""
        with brand_scope(self.brand_id):
            corp_tags.unlink(corp_tag_id=corp_tag_id, actor=self.caller.actor, at=timezone.now())
            return Response(_corp_tag(found(CorpTag.objects.filter(pk=corp_tag_id))))


def _library(corp: Corp) -> dict[str, Any]:
    """Scoped; two queries a corp, of which a brand has a few."""
    row = TagLibrary.objects.filter(corp=corp).first() or TagLibrary(corp=corp)
    return {
        "corp_id": corp.pk,
        "corpid": corp.corpid,
        "name": corp.name,
        "is_on": row.is_on,
        "imports_new": row.imports_new,
        "linked": corp_tags.linked(corp.pk),
        "next_round_at": row.due_at if row.is_on else None,
        "round_ended_at": row.round_ended_at,
        "library_read_at": row.read_at,
        "problem": row.problem,
    }


def _corp_tag(row: CorpTag) -> dict[str, Any]:
    return {
        "id": row.pk,
        "corp_id": row.corp_id,
        "group": row.group,
        "name": row.name,
        "wecom_id": row.wecom_id,
        "state": row.state,
        "tag_id": row.tag_id,
        "segment_id": row.segment_id,
        "problem": row.problem,
    }

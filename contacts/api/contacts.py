"""GET /api/v1/contacts, /contacts/lookup, /contacts/{id}."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from contacts import parts, profile
from contacts.models import Contact, Follow, GroupMember, Identity, Staff
from contacts.oneid import identity
from tenants.api import BrandAPIView
from tenants.scope import brand_scope

READ_PHONE = "contacts:read_phone"


class StoreOut(serializers.Serializer):
    """门店."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class GuideOut(serializers.Serializer):
    """导购."""

    id = serializers.IntegerField()
    userid = serializers.CharField()
    name = serializers.CharField()
    store = StoreOut(allow_null=True)


class ContactOut(serializers.Serializer):
    """A customer. Times are UTC; `phone` is masked (138****5678) unless the key has `contacts:read_phone`."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    avatar = serializers.CharField(help_text="URL, or empty")
    gender = serializers.IntegerField(help_text="0 unknown, 1 male, 2 female")
    phone = serializers.CharField(help_text="empty when not known")
    main_guide = GuideOut(allow_null=True, help_text="who writes to the contact; null when nobody can")
    source_state = serializers.CharField(help_text="`state` of the first friendship: the channel that brought them")
    first_added_at = serializers.DateTimeField(allow_null=True)
    last_active_at = serializers.DateTimeField(allow_null=True)
    lost_at = serializers.DateTimeField(allow_null=True, help_text="since when no friendship is alive")


class IdentityOut(serializers.Serializer):
    """What the contact is known by: `corpid:external_userid`, `appid:openid`, else the value itself."""

    type = serializers.ChoiceField(choices=Identity.Type.values)
    value = serializers.CharField()


class FollowOut(serializers.Serializer):
    """A friendship with a guide, living (`lost_at` null) or past."""

    guide = GuideOut()
    external_userid = serializers.CharField()
    remark = serializers.CharField()
    state = serializers.CharField()
    add_way = serializers.IntegerField(help_text="WeCom's number")
    added_at = serializers.DateTimeField()
    lost_at = serializers.DateTimeField(allow_null=True)
    lost_by = serializers.ChoiceField(choices=["", *Follow.LostBy.values])


class GroupOut(serializers.Serializer):
    """A customer group the contact is in."""

    chat_id = serializers.CharField()
    name = serializers.CharField()
    joined_at = serializers.DateTimeField()


class ContactDetailOut(ContactOut):
    """A customer with everything that the console's page shows at a glance. Parts that the key may not see are null."""

    identities = IdentityOut(many=True)
    follows = FollowOut(many=True)
    groups = GroupOut(many=True)
    open_conflicts = serializers.IntegerField(help_text="who may be the same person: see oneid/conflicts")

    def get_fields(self) -> dict[str, serializers.Field]:
        """With what higher apps know."""
        return super().get_fields() | parts.fields()


class ContactPageOut(serializers.Serializer):
    """A page; `next_cursor` null at the end."""

    items = ContactOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class ListQuery(serializers.Serializer):
    """Filters of the list; all given ones must hold."""

    q = serializers.CharField(required=False, max_length=50, help_text=_("昵称的一部分，或完整手机号"))
    guide_id = serializers.IntegerField(required=False, help_text=_("主导购"))
    store_id = serializers.IntegerField(required=False, help_text=_("主导购所在门店"))
    source_state = serializers.CharField(required=False, max_length=64, help_text=_("来源渠道"))
    lost = serializers.BooleanField(required=False, allow_null=True, default=None, help_text=_("是否已流失"))


PAGING = [
    OpenApiParameter("cursor", str, description="next_cursor of the page before"),
    OpenApiParameter("limit", int, description="1–200, 50 unless given"),
]


class Contacts(BrandAPIView):
    """The brand's contacts."""

    scope: ClassVar[str] = "contacts:read"

    @extend_schema(
        operation_id="contacts_list",
        summary="列出客户",
        tags=["contacts"],
        parameters=[ListQuery, *PAGING],
        responses=ContactPageOut,
    )
    def get(self, request: Request) -> Response:
        """Contacts in order of their id, filtered. Lost contacts are among them unless `lost=false`."""
        asked = self.validated(ListQuery, request.query_params)
        with brand_scope(self.brand_id):
            contacts = profile.search(text=asked.pop("q", ""), **asked)
            return self.page(contacts, key="id", out=lambda contact: _contact(contact, self._open))

    @property
    def _open(self) -> bool:
        return READ_PHONE in self.caller.scopes


class ContactLookup(BrandAPIView):
    """A contact by what the brand's systems know."""

    scope: ClassVar[str] = "contacts:read"

    @extend_schema(
        summary="按身份查找客户",
        tags=["contacts"],
        parameters=[
            OpenApiParameter("unionid", str),
            OpenApiParameter("external_userid", str, description="with corpid"),
            OpenApiParameter("corpid", str),
            OpenApiParameter("openid", str, description="with appid"),
            OpenApiParameter("appid", str),
            OpenApiParameter("phone", str, description="+86 and spaces do not matter"),
            OpenApiParameter("member_id", str),
        ],
        responses=ContactDetailOut,
    )
    def get(self, request: Request) -> Response:
        """The contact of exactly one identity. 404 while nobody we know has it: a mini-program's visitor becomes a
        contact when a guide is added, or when the log-in is linked."""
        ref = {name: value for name, value in request.query_params.items() if name != "id"}
        with brand_scope(self.brand_id):
            contact = identity.find(ref)
            return Response(_detail(contact.pk, self.caller.scopes))


class ContactDetail(BrandAPIView):
    """One contact."""

    scope: ClassVar[str] = "contacts:read"

    @extend_schema(summary="查看客户", tags=["contacts"], responses=ContactDetailOut)
    def get(self, request: Request, contact_id: int) -> Response:
        """The contact with identities, friendships (past ones too: who deleted whom), present groups, tags, stage,
        interests, orders and points. The number of a merged contact answers who it was merged into."""
        with brand_scope(self.brand_id):
            return Response(_detail(identity.find({"id": contact_id}).pk, self.caller.scopes))


def _contact(contact: Contact, phones: bool) -> dict[str, Any]:
    return {
        "id": contact.pk,
        "name": contact.name,
        "avatar": contact.avatar,
        "gender": contact.gender,
        "phone": contact.phone if phones else profile.masked(contact.phone),
        "main_guide": _guide(contact.main_guide) if contact.main_guide else None,
        "source_state": contact.source_state,
        "first_added_at": contact.first_added_at,
        "last_active_at": contact.last_active_at,
        "lost_at": contact.lost_at,
    }


def _detail(contact_id: int, scopes: Collection[str]) -> Mapping[str, Any]:
    card, phones = profile.card(contact_id), READ_PHONE in scopes
    return {
        **_contact(card.contact, phones),
        "identities": [_identity(each, phones) for each in card.identities],
        "follows": [_follow(each) for each in card.follows],
        "groups": [_group(each) for each in card.groups],
        "open_conflicts": card.conflicts,
        **parts.read(card.contact, scopes=scopes, at=timezone.now()),
    }


def _guide(staff: Staff) -> dict[str, Any]:
    store = {"id": staff.store.pk, "name": staff.store.name} if staff.store else None
    return {"id": staff.pk, "userid": staff.userid, "name": staff.name, "store": store}


def _identity(row: Identity, phones: bool) -> dict[str, str]:
    hidden = row.type in (Identity.Type.PHONE, Identity.Type.ORDER_PHONE) and not phones
    return {"type": row.type, "value": profile.masked(row.value) if hidden else row.value}


def _follow(row: Follow) -> dict[str, Any]:
    return {
        "guide": _guide(row.staff),
        "external_userid": row.external_userid,
        "remark": row.remark,
        "state": row.state,
        "add_way": row.add_way,
        "added_at": row.added_at,
        "lost_at": row.lost_at,
        "lost_by": row.lost_by,
    }


def _group(row: GroupMember) -> dict[str, Any]:
    return {"chat_id": row.chat.chat_id, "name": row.chat.name, "joined_at": row.joined_at}

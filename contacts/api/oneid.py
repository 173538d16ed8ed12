"""OneID over REST: identity graph, summary, log-in links, merges, splits, conflicts, export and erasure."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from contacts import profile
from contacts.api.contacts import PAGING, READ_PHONE
from contacts.models import IdentityConflict
from contacts.oneid import conflicts, graph, identity, linking
from contacts.personal_data import erasure, export
from events.spelling import IDENTITY_SPACE
from tenants.api import IDEMPOTENCY_KEY, BrandAPIView
from tenants.scope import brand_scope

PHONES = ("phone", "order_phone")


class NodeOut(serializers.Serializer):
    """One identity of the contact."""

    id = serializers.UUIDField()
    type = serializers.ChoiceField(choices=list(IDENTITY_SPACE))
    value = serializers.CharField()
    strength = serializers.FloatField(help_text="0–1; from 0.9 on it unites contacts")
    first_seen_at = serializers.DateTimeField()
    source = serializers.CharField(help_text="who showed it: wecom, api, mini_program, …; may be empty")  # type: ignore[assignment]
    came_with = serializers.IntegerField(allow_null=True, help_text="number of the merge that brought it")


class EdgeOut(serializers.Serializer):
    """Why two identities are one person."""

    source = serializers.UUIDField()  # type: ignore[assignment]
    target = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=["seen", "merge"])
    at = serializers.DateTimeField()
    by = serializers.CharField()
    merge_id = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField()


class MergeOut(serializers.Serializer):
    """A merge: `loser_id` goes on meaning the survivor until it is split."""

    id = serializers.IntegerField()
    survivor_id = serializers.IntegerField()
    loser_id = serializers.IntegerField()
    merged_at = serializers.DateTimeField()
    actor = serializers.CharField()
    reason = serializers.CharField()
    evidence = serializers.JSONField(help_text="the identity that both had; empty for a merge by hand")
    split_at = serializers.DateTimeField(allow_null=True)


class GraphOut(serializers.Serializer):
    """Identities as nodes, evidence as edges, merges in force."""

    nodes = NodeOut(many=True)
    edges = EdgeOut(many=True)
    merges = MergeOut(many=True)


class PairOut(serializers.Serializer):
    """Contacts known by both types, and which share of either type that is."""

    first = serializers.CharField()
    second = serializers.CharField()
    contacts = serializers.IntegerField()
    share_of_first = serializers.FloatField()
    share_of_second = serializers.FloatField()


class SummaryOut(serializers.Serializer):
    """The brand's OneID in figures. `identifiability` = contacts with two identity types or more ÷ contacts."""

    contacts = serializers.IntegerField()
    identified = serializers.IntegerField()
    identifiability = serializers.FloatField(allow_null=True)
    types = serializers.DictField(child=serializers.IntegerField(), help_text="contacts per identity type")
    pairs = PairOut(many=True)
    conflicts = serializers.IntegerField(help_text="open ones")
    merges = serializers.IntegerField(help_text="in force")


class ConflictOut(serializers.Serializer):
    """Evidence that two contacts are one while something says no. `other_id` null: a value that was held back."""

    id = serializers.UUIDField()
    contact_id = serializers.IntegerField()
    other_id = serializers.IntegerField(allow_null=True)
    evidence = serializers.JSONField()
    seen_at = serializers.DateTimeField()


class ConflictsOut(serializers.Serializer):
    """A page of open conflicts, latest first."""

    items = ConflictOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class Reason(serializers.Serializer):
    """Why."""

    reason = serializers.CharField(max_length=200)


class MergeIn(Reason):
    """Which contact becomes an alias."""

    loser_id = serializers.IntegerField(min_value=1)


class ChooseIn(Reason):
    """Which of the two stays."""

    survivor_id = serializers.IntegerField(min_value=1)


class EraseIn(Reason):
    """`typed_name`: the contact's name, or its number if it has none."""

    typed_name = serializers.CharField(max_length=200)


class LinkIn(serializers.Serializer):
    """Identities that your systems saw together, e.g. at a log-in; at least one strong one."""

    identities = serializers.ListField(
        child=serializers.DictField(child=serializers.CharField(max_length=200)),
        min_length=1,
        max_length=linking.MOST,
        help_text='[{"unionid": "…"}, {"openid": "…", "appid": "…"}, {"pending_id": "…", "corpid": "…"}]',
    )


class LinkOut(serializers.Serializer):
    """Whose they are."""

    contact_id = serializers.IntegerField()


class MergedOut(serializers.Serializer):
    """Numbers of the merges made; empty when the two were one already."""

    merge_ids = serializers.ListField(child=serializers.IntegerField())


class ErasedOut(serializers.Serializer):
    """Rows erased or made anonymous, by part of the system."""

    rows = serializers.DictField(child=serializers.IntegerField())


class IdentityGraph(BrandAPIView):
    """A contact's identities and what ties them."""

    scope = "contacts:read"

    @extend_schema(summary="身份图谱", tags=["oneid"], responses=GraphOut)
    def get(self, request: Request, contact_id: int) -> Response:
        """Nodes, edges with their evidence, and merges in force. Phone numbers masked as in the contact itself."""
        with brand_scope(self.brand_id):
            found = graph.graph(identity.find({"id": contact_id}).pk)
            body: dict[str, Any] = dict(GraphOut(found).data)
        if READ_PHONE not in self.caller.scopes:
            hide_phones(body)
        return Response(body)


class Summary(BrandAPIView):
    """The brand's OneID in figures."""

    scope = "contacts:read"

    @extend_schema(summary="OneID 概览", tags=["oneid"], responses=SummaryOut)
    def get(self, request: Request) -> Response:
        """Contacts per identity type and per pair of types, identifiability, open conflicts. Counted at the call."""
        with brand_scope(self.brand_id):
            return Response(SummaryOut(graph.summary()).data)


class Link(BrandAPIView):
    """Identities that belong together."""

    scope = "contacts:write"

    @extend_schema(summary="关联身份（小程序登录）", tags=["oneid"], request=LinkIn, responses=LinkOut)
    def post(self, request: Request) -> Response:
        """Link identities that were seen together; makes the contact of a visitor. Repeating it changes nothing.

        Contacts that turn out to be one person are merged; what contradicts itself waits in the conflicts."""
        data = self.validated(LinkIn)
        with brand_scope(self.brand_id):
            contact_id = linking.link(refs=data["identities"], at=timezone.now())
        return Response({"contact_id": contact_id})


class Merges(BrandAPIView):
    """Merging by hand."""

    scope = "contacts:write"

    @extend_schema(
        summary="合并客户", tags=["oneid"], parameters=[IDEMPOTENCY_KEY], request=MergeIn, responses={201: MergedOut}
    )
    def post(self, request: Request, contact_id: int) -> Response:
        """`loser_id` becomes an alias of this contact: all that is theirs follows, reversibly."""
        data = self.validated(MergeIn)

        def act() -> tuple[int, dict[str, Any]]:
            actor, at = self.caller.actor, timezone.now()
            made = conflicts.merge_people(survivor_id=contact_id, actor=actor, at=at, **data)
            return 201, {"merge_ids": made}

        return self.idempotent(act)


class Split(BrandAPIView):
    """Undoing a merge."""

    scope = "contacts:write"

    @extend_schema(summary="拆分客户", tags=["oneid"], request=Reason, responses=MergeOut)
    def post(self, request: Request, merge_id: int) -> Response:
        """Both contacts are as before; what came since goes by the identity it carries. 409 if it was split before."""
        data = self.validated(Reason)
        with brand_scope(self.brand_id):
            row = conflicts.split_people(merge_id=merge_id, actor=self.caller.actor, at=timezone.now(), **data)
            return Response(MergeOut(row).data)


class Conflicts(BrandAPIView):
    """The review queue."""

    scope = "contacts:read"

    @extend_schema(summary="身份冲突", tags=["oneid"], parameters=PAGING, responses=ConflictsOut)
    def get(self, request: Request) -> Response:
        """Open conflicts, latest first."""
        with brand_scope(self.brand_id):
            opened = IdentityConflict.objects.filter(resolved_at=None)
            return self.page(opened, key="id", latest="seen_at", out=lambda row: self._shown(row))

    def _shown(self, row: IdentityConflict) -> Any:
        body = dict(ConflictOut(row).data)
        if READ_PHONE not in self.caller.scopes and row.evidence.get("type") in PHONES:
            body["evidence"] = {**row.evidence, "value": profile.masked(str(row.evidence.get("value", "")))}
        return body


class ConflictMerge(BrandAPIView):
    """They are one."""

    scope = "contacts:write"

    @extend_schema(summary="冲突：合并", tags=["oneid"], request=ChooseIn, responses=MergedOut)
    def post(self, request: Request, conflict_id: UUID) -> Response:
        """Merge the two into `survivor_id`. 422 when the conflict is settled already."""
        data = self.validated(ChooseIn)
        with brand_scope(self.brand_id):
            made = conflicts.merge_sides(conflict_id=conflict_id, actor=self.caller.actor, at=timezone.now(), **data)
        return Response({"merge_ids": made})


class ConflictKeepApart(BrandAPIView):
    """They are two."""

    scope = "contacts:write"

    @extend_schema(summary="冲突：保持分开", tags=["oneid"], request=Reason, responses={204: None})
    def post(self, request: Request, conflict_id: UUID) -> Response:
        """Keep both; the same evidence is not asked about again. 422 when the conflict is settled already."""
        data = self.validated(Reason)
        with brand_scope(self.brand_id):
            conflicts.keep_apart(conflict_id=conflict_id, actor=self.caller.actor, at=timezone.now(), **data)
        return Response(status=204)


class Export(BrandAPIView):
    """All data of one person."""

    scope = "contacts:personal_data"

    @extend_schema(summary="导出客户的全部数据", tags=["oneid"], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, contact_id: int) -> Response:
        """Every row kept of the contact, by table; times UTC. The number of a merged contact means who it was merged
        into. Audited."""
        with brand_scope(self.brand_id):
            meant, at = identity.find({"id": contact_id}).pk, timezone.now()
            return Response(export.everything(contact_id=meant, actor=self.caller.actor, at=at))


class Erase(BrandAPIView):
    """Erasing one person."""

    scope = "contacts:personal_data"

    @extend_schema(summary="删除客户的个人数据", tags=["oneid"], request=EraseIn, responses=ErasedOut)
    def post(self, request: Request, contact_id: int) -> Response:
        """Erase the person for good, and whoever was merged into them; the number of a merged contact means the person.
        Ledger entries and sent messages stay without the person. Audited."""
        data = self.validated(EraseIn)
        with brand_scope(self.brand_id):
            meant = identity.find({"id": contact_id}).pk
            rows = erasure.erase(contact_id=meant, actor=self.caller.actor, at=timezone.now(), **data)
        return Response({"rows": {name: number for name, number in rows.items() if number}})


def hide_phones(body: dict[str, Any]) -> None:
    """Mask phone numbers in a graph."""
    for node in body["nodes"]:
        if node["type"] in PHONES:
            node["value"] = profile.masked(node["value"])
    for merge in body["merges"]:
        if merge["evidence"].get("type") in PHONES:
            merge["evidence"] = {**merge["evidence"], "value": profile.masked(merge["evidence"]["value"])}

"""/api/v1/lifecycle: the brand's stages, and where one contact stood when."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from contacts.oneid import identity
from tagging.api.asked import PAGING, wrong
from tagging.api.rules import RunOut, run_out
from tagging.models import LifecycleSpell, TagRun
from tagging.rules import lifecycle, rerun
from tagging.segments import segments
from tenants.api import BrandAPIView
from tenants.scope import brand_scope

WISHED = {
    "stages": [
        {
            "key": "buyer",
            "name": "买家",
            "tree": {"kind": "event_count", "event": "order_paid", "op": "gte", "value": 1, "days": 90},
        },
        {"key": "others", "name": "其余", "tree": {"all": []}},
    ]
}


class StageIn(serializers.Serializer):
    """A stage: of the ordered ones a contact is in the first whose tree holds."""

    key = serializers.CharField(help_text="small letters, digits, _: by it segments and events name the stage")
    name = serializers.CharField(max_length=30)
    tree = serializers.JSONField(help_text="a condition tree, as of a segment")


class StagesIn(serializers.Serializer):
    """All stages, in their order."""

    stages = StageIn(many=True)


class StageOut(StageIn):
    """A stage and who is in it."""

    sentence = serializers.CharField(help_text="the tree in words, in the language asked for")
    contacts = serializers.IntegerField(help_text="who is in it now")


class StagesOut(serializers.Serializer):
    """The lifecycle as it is kept."""

    stages = StageOut(many=True, help_text="empty: the brand keeps none")
    unplaced = serializers.IntegerField(help_text="contacts whom no stage fits")
    kept_since = serializers.DateTimeField(allow_null=True, help_text="since when the matrix knows anything")
    running = RunOut(allow_null=True, help_text="the look at everybody that is under way")


class StageSpellOut(serializers.Serializer):
    """One stay of a contact in a stage, [since, until)."""

    stage = serializers.CharField(allow_blank=True, help_text="its key; empty: no stage fitted")
    name = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True, help_text="null: still in")
    cause = serializers.CharField(
        allow_blank=True, help_text="why they came in: event, row, time, new, first, rules; empty: not known"
    )


class StageSpellPage(serializers.Serializer):
    """A page of stays."""

    items = StageSpellOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class Stages(BrandAPIView):
    """The brand's stages."""

    scopes: ClassVar[dict[str, str]] = {"GET": "segments:read", "PUT": "segments:write"}

    @extend_schema(summary="生命周期阶段", tags=["lifecycle"], responses=StagesOut)
    def get(self, request: Request) -> Response:
        """The stages in their order, with who is in each now, and the look at everybody that is under way."""
        with brand_scope(self.brand_id):
            return Response(_stages())

    @extend_schema(
        summary="替换生命周期阶段",
        tags=["lifecycle"],
        request=StagesIn,
        responses=StagesOut,
        examples=[OpenApiExample("买家与其余", value=WISHED, request_only=True)],
    )
    def put(self, request: Request) -> Response:
        """Put these stages in the place of the present ones; everybody is looked at anew (`running`). `{"stages": []}`
        keeps none any more. A wrong stage is refused with its place: `stages[0].tree.all[1].event`. What the change
        makes of contacts is history, but no event and no migration."""
        wanted = request.data.get("stages") if isinstance(request.data, Mapping) else None
        if not isinstance(wanted, list) or not all(isinstance(each, Mapping) for each in wanted):
            raise wrong(
                "stages",
                _("stages 要是一组对象。"),
                _('例如 [{"key": "all", "name": "所有人", "tree": {"all": []}}]。'),
            )
        stages = [lifecycle.Stage(each.get("key", ""), each.get("name", ""), each.get("tree")) for each in wanted]
        with brand_scope(self.brand_id):
            lifecycle.save(wanted=stages, actor=self.caller.actor, at=timezone.now())
            return Response(_stages())


class Defaults(BrandAPIView):
    """What a brand may begin with."""

    scope: ClassVar[str] = "segments:read"

    @extend_schema(summary="常用的生命周期阶段", tags=["lifecycle"], responses=StagesIn)
    def get(self, request: Request) -> Response:
        """Lost, won back, visitor, new, active, silent: PUT them to /lifecycle/stages, changed or as they are."""
        return Response(
            {"stages": [{"key": stage.key, "name": stage.name, "tree": stage.tree} for stage in lifecycle.defaults()]}
        )


class ContactStages(BrandAPIView):
    """Where one contact stood when."""

    scope: ClassVar[str] = "contacts:read"

    @extend_schema(
        operation_id="contact_lifecycle",
        summary="客户的阶段历史",
        tags=["lifecycle"],
        parameters=PAGING,
        responses=StageSpellPage,
    )
    def get(self, request: Request, contact_id: int) -> Response:
        """The contact's stays in the brand's stages, by when they began; the last one may be open. Nothing while the
        brand keeps no stages."""
        with brand_scope(self.brand_id):
            contact = identity.find({"id": contact_id})
            names = lifecycle.labels()

            def out(row: LifecycleSpell) -> dict[str, Any]:
                return {
                    "stage": row.stage,
                    "name": str(names.get(row.stage, row.stage)),
                    "since": row.since,
                    "until": row.until,
                    "cause": row.cause,
                }

            return self.page(LifecycleSpell.objects.filter(contact=contact), key="since", out=out)


def _stages() -> dict[str, Any]:
    counts = lifecycle.counts()
    running = [run for run in rerun.open_runs() if run.kind == TagRun.Kind.LIFECYCLE]
    return {
        "stages": [
            {
                "key": stage.key,
                "name": stage.name,
                "tree": stage.tree,
                "sentence": segments.sentence(stage.tree),
                "contacts": counts.get(stage.key, 0),
            }
            for stage in lifecycle.stages()
        ],
        "unplaced": counts.get("", 0),
        "kept_since": lifecycle.kept_since(),
        "running": run_out(running[-1]) if running else None,
    }

"""/api/v1/tag-rules: rules that give and take tags; taking one over history, with a preview; how far such runs are."""

from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from scrm.lib.errors import found
from tagging.api.asked import KEY, PAGING, named, number, row_id
from tagging.api.tags import tag_out
from tagging.models import Tag, TagRule, TagRun
from tagging.rules import rerun, rules
from tenants.api import BrandAPIView
from tenants.scope import brand_scope

VIEWED = {
    "name": "看过三次婴童",
    "tag_id": 7,
    "event_type": "product_view",
    "where": {"category": "婴童", "min_dwell_seconds": 15},
    "min_count": 3,
    "window_days": 30,
    "keep_days": 90,
}


class RuleIn(serializers.Serializer):
    """What a rule says. `tagging.rules.checks` looks at each field closely."""

    name = serializers.CharField(max_length=60)
    tag_id = row_id()
    measure = serializers.CharField(default="count", help_text="count, sum, recency, sequence or interest")
    event_type = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="of the catalogue; empty for sequence and interest"
    )
    where = serializers.JSONField(
        default=dict,
        help_text='filters on properties: {"category": "婴童"}; of an interest: category or product_id',
    )
    prop = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="of a sum: a whole-number property, e.g. amount_fen"
    )
    steps = serializers.JSONField(
        default=list,  # type: ignore[arg-type]
        help_text='of a sequence: [{"event": "add_cart"}, …]',
    )
    within_hours = serializers.IntegerField(allow_null=True, default=None, help_text="of a sequence: first to last")
    min_count = serializers.IntegerField(default=1, help_text="the tag is given from here on, unless `high` is said")
    high = serializers.FloatField(allow_null=True, default=None, help_text="the tag is given from here on")
    low = serializers.FloatField(allow_null=True, default=None, help_text="the tag is taken below; null: never taken")
    half_life_days = serializers.IntegerField(allow_null=True, default=None, help_text="an event so old counts half")
    window_days = serializers.IntegerField(default=30)
    keep_days = serializers.IntegerField(
        allow_null=True, default=None, help_text="the tag runs out so long after the latest event; null: it stays"
    )
    enabled = serializers.BooleanField(default=True)


class RunOut(serializers.Serializer):
    """Work over all contacts."""

    id = serializers.IntegerField()
    kind = serializers.CharField(help_text="preview, apply, interests, lifecycle or exclusion")
    rule_id = serializers.IntegerField(allow_null=True)
    at = serializers.DateTimeField(help_text="the moment by which all contacts are judged")
    share = serializers.FloatField(help_text="of the contacts, how many are done: 0 to 1")
    finished_at = serializers.DateTimeField(allow_null=True)
    result = serializers.JSONField(
        help_text="so far: {given, taken, kept, replaced} of a rule (a preview: would be; `replaced`: other tags of an "
        "exclusive group that give way), {changed}, {scores}, {taken}"
    )


class RunPage(serializers.Serializer):
    """A page of runs."""

    items = RunOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class RuleOut(RuleIn):
    """A rule."""

    id = serializers.IntegerField()
    tag = serializers.DictField(help_text="{id, name, group}")
    sentence = serializers.CharField(help_text="the rule in words, in the language asked for")
    latest_run = RunOut(allow_null=True, help_text="the last preview or application")
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)


class RulePage(serializers.Serializer):
    """A page of rules."""

    items = RuleOut(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class Rules(BrandAPIView):
    """The brand's rules."""

    scopes: ClassVar[dict[str, str]] = {"GET": "tags:read", "POST": "tags:write"}

    @extend_schema(
        operation_id="tag_rules_list", summary="标签规则列表", tags=["tags"], parameters=PAGING, responses=RulePage
    )
    def get(self, request: Request) -> Response:
        """The brand's rules in order of their making, without archived ones."""
        with brand_scope(self.brand_id):
            rows = TagRule.objects.filter(archived_at=None).select_related("tag")
            response = self.page(rows, key="id", out=lambda rule: rule)
            response.data["items"] = _all(response.data["items"])
        return response

    @extend_schema(
        summary="新建标签规则",
        tags=["tags"],
        parameters=[KEY],
        request=RuleIn,
        responses={201: RuleOut},
        examples=[OpenApiExample("看过三次", value=VIEWED, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """Make a rule. It acts on events from now on; `preview` and then `apply` take it over history. A wrong rule is
        refused with each field, what is wrong and the remedy."""
        data = self.validated(RuleIn)

        def act() -> tuple[int, dict[str, Any]]:
            named(Tag.objects.all(), "tag_id", data["tag_id"])
            made = rules.save(actor=self.caller.actor, at=timezone.now(), **data)
            return 201, _one(made)

        return self.idempotent(act)


class OneRule(BrandAPIView):
    """One rule."""

    scopes: ClassVar[dict[str, str]] = {"GET": "tags:read", "PUT": "tags:write", "DELETE": "tags:write"}

    @extend_schema(summary="查看标签规则", tags=["tags"], responses=RuleOut)
    def get(self, request: Request, rule_id: int) -> Response:
        """One rule, archived or not."""
        with brand_scope(self.brand_id):
            return Response(_one(found(TagRule.objects.filter(pk=rule_id))))

    @extend_schema(summary="修改标签规则", tags=["tags"], request=RuleIn, responses=RuleOut)
    def put(self, request: Request, rule_id: int) -> Response:
        """Change a rule: say all of it, what is left out takes its default. `enabled: false` stops it, and tags that it
        gave stay. 409 `tagging.rule_archived` for an archived one."""
        data = self.validated(RuleIn)
        with brand_scope(self.brand_id):
            found(TagRule.objects.filter(pk=rule_id))
            named(Tag.objects.all(), "tag_id", data["tag_id"])
            return Response(_one(rules.save(rule_id=rule_id, actor=self.caller.actor, at=timezone.now(), **data)))

    @extend_schema(summary="归档标签规则", tags=["tags"], request=None, responses=RuleOut)
    def delete(self, request: Request, rule_id: int) -> Response:
        """Put a rule away: it acts no more and leaves the list. Tags that it gave stay until they run out."""
        with brand_scope(self.brand_id):
            return Response(_one(rules.archive(rule_id=rule_id, actor=self.caller.actor, at=timezone.now())))


class _OverHistory(BrandAPIView):
    """Taking a rule over history."""

    scope: ClassVar[str] = "tags:write"
    kind: ClassVar[str]

    def _begin(self, rule_id: int) -> Response:
        def act() -> tuple[int, dict[str, Any]]:
            run = rerun.begin(rule_id=rule_id, kind=self.kind, actor=self.caller.actor, at=timezone.now())
            return 201, run_out(run)

        return self.idempotent(act)


class PreviewRule(_OverHistory):
    """What a rule would change."""

    kind: ClassVar[str] = TagRun.Kind.PREVIEW

    @extend_schema(summary="预览规则的影响", tags=["tags"], parameters=[KEY], request=None, responses={201: RunOut})
    def post(self, request: Request, rule_id: int) -> Response:
        """Begin to count how many contacts the rule would give its tag to, take it from, and leave as they are. Nothing
        is given. Read the run (`GET /tag-runs/{id}`) until it has finished. 409 `tagging.run_exists` while another run
        of the rule is under way."""
        return self._begin(rule_id)


class ApplyRule(_OverHistory):
    """Taking a rule over history."""

    kind: ClassVar[str] = TagRun.Kind.APPLY

    @extend_schema(summary="按历史执行规则", tags=["tags"], parameters=[KEY], request=None, responses={201: RunOut})
    def post(self, request: Request, rule_id: int) -> Response:
        """Begin to give and take by all of history. Wants a finished preview of the rule as it is now: else 409
        `tagging.rule_changed`."""
        return self._begin(rule_id)


class Runs(BrandAPIView):
    """Work over all contacts."""

    scope: ClassVar[str] = "tags:read"

    @extend_schema(
        operation_id="tag_runs_list",
        summary="批量计算列表",
        tags=["tags"],
        parameters=[*PAGING, OpenApiParameter("rule_id", int, description="of this rule only")],
        responses=RunPage,
    )
    def get(self, request: Request) -> Response:
        """Previews and applications of rules, reckonings of interest scores, placements into lifecycle stages, groups
        made exclusive; the latest first."""
        rows, rule_id = TagRun.objects.all(), request.query_params.get("rule_id")
        if rule_id is not None:
            rows = rows.filter(rule=number(rule_id, "rule_id"))
        with brand_scope(self.brand_id):
            return self.page(rows, key="id", latest="at", out=run_out)


class OneRun(BrandAPIView):
    """How far one is."""

    scope: ClassVar[str] = "tags:read"

    @extend_schema(summary="批量计算进度", tags=["tags"], responses=RunOut)
    def get(self, request: Request, run_id: int) -> Response:
        """How far it is and what came of it so far."""
        with brand_scope(self.brand_id):
            return Response(run_out(found(TagRun.objects.filter(pk=run_id))))


def run_out(run: TagRun) -> dict[str, Any]:
    """A run as callers read it. Scoped."""
    return {
        "id": run.pk,
        "kind": run.kind,
        "rule_id": run.rule_id,
        "at": run.at,
        "share": rerun.share(run),
        "finished_at": run.finished_at,
        "result": run.result,
    }


def _one(rule: TagRule) -> dict[str, Any]:
    return _all([rule])[0]


def _all(some: list[TagRule]) -> list[dict[str, Any]]:
    runs = rerun.latest_of([rule.pk for rule in some])
    return [
        {
            "id": rule.pk,
            **rules.fields_of(rule),
            "tag": tag_out(rule.tag),
            "sentence": rules.sentence(rule),
            "latest_run": run_out(runs[rule.pk]) if rule.pk in runs else None,
            "created_at": rule.created_at,
            "archived_at": rule.archived_at,
        }
        for rule in some
    ]

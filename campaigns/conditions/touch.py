"""What a segment may ask about outreach: what reached the contact, and where the contact stands in an SOP."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from campaigns.models import Channel, Enrolment, Push, Sop
from contacts.activity import BY_THE_CONTACT
from scrm.lib.errors import FieldError
from tagging.language import changes, compare, params, references, windows
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.leaves.behaviour import COUNT, aggregated, any_flip, evidence, matching
from tagging.language.params import Param
from tagging.language.sql import Sql, all_of, exists

REPLY_HOURS = 72
WHAT = (
    ("received", gettext_lazy("收到推送")),
    ("replied", gettext_lazy("收到推送后 72 小时内有互动（代理指标）")),
    ("confirmed", gettext_lazy("导购确认了发给客户的推送")),
)
STATES = (
    ("in", gettext_lazy("在流程里")),
    ("done", gettext_lazy("走完流程")),
    ("goal", gettext_lazy("达成流程目标")),
    ("exited", gettext_lazy("中途退出流程")),
    ("ever", gettext_lazy("进过流程")),
)
NOT_STATES = {
    "in": gettext_lazy("不在流程里"),
    "done": gettext_lazy("没有走完流程"),
    "goal": gettext_lazy("没有达成流程目标"),
    "exited": gettext_lazy("没有中途退出流程"),
    "ever": gettext_lazy("没有进过流程"),
}
STATUS_OF = {
    "in": Enrolment.Status.ACTIVE,
    "done": Enrolment.Status.DONE,
    "goal": Enrolment.Status.GOAL,
    "exited": Enrolment.Status.EXITED,
}
HAS = (("has", gettext_lazy("是")), ("has_not", gettext_lazy("不是")))


class Touch(Condition):
    """{"kind": "touch", "what": "received", "channel": "single", "push_id": [7], "days": 7, "op": "gte", "value": 2}.

    received: the log's message_delivered; replied: of these, those after which the contact did something themselves
    within 72 hours (WeCom tells nobody who reads or answers, so it is a proxy); confirmed: deliveries whose guide
    confirmed the sending."""

    kind = "touch"
    label = gettext_lazy("触达")
    group = "touch"
    null_rule = gettext_lazy("没有被触达过的客户按 0 次算。")
    params = (
        Param("what", gettext_lazy("看什么"), "choice", choices=WHAT, default="received"),
        Param("channel", gettext_lazy("渠道"), "choice", choices=tuple(Channel.choices)),
        Param("push_id", gettext_lazy("推送"), "push", many=True),
        *windows.PARAMS,
        Param("op", gettext_lazy("比较"), "choice", required=True, choices=compare.CHOICES),
        Param("value", gettext_lazy("次数"), "int", required=True, maximum=10_000, unit=gettext_lazy("次")),
    )

    def check(self, leaf: Leaf, path: str) -> Iterator[FieldError]:
        """The window must be possible; fewer than 0 times is nobody."""
        yield from windows.check(leaf, path)
        if (leaf["op"], leaf["value"]) == ("lt", 0):
            yield FieldError(
                f"{path}.value",
                "tagging.out_of_range",
                _("次数不会小于 0，没有人满足。"),
                _("要找没有被触达的客户，写 op 为 eq、value 为 0。"),
            )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A join with the contacts who were reached so often; nobody's deliveries are 0."""
        if leaf.get("what") != "confirmed":
            return aggregated(_received(leaf, frame), frame, COUNT, leaf["op"], leaf["value"])
        op, value = leaf["op"], leaf["value"]
        if compare.holds(op, 0, value):
            return ~_confirmed(leaf, frame, compare.OPPOSITE[op], value)
        return _confirmed(leaf, frame, op, value)

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """Deliveries; of replies, every act of the contact; of confirmations, the guide's."""
        if leaf.get("what") == "confirmed":
            return changes.by_sources("outreach")
        return changes.ANYTHING if leaf.get("what") == "replied" else changes.by_events("message_delivered")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """When a delivery leaves the window."""
        if leaf.get("what") == "confirmed":
            return _confirmed_flip(leaf, frame)
        flip = any_flip({**leaf, "event": "message_delivered"}, frame, ["message_delivered"])
        if flip is None or leaf.get("what") != "replied":
            return flip
        return changes.earliest([flip, _reply_to_come(frame)])

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """{count, last_at, event_ids}; of confirmed: {count, last_at, pushes}."""
        if leaf.get("what") != "confirmed":
            return evidence(_received(leaf, frame), frame)
        where = all_of([*_deliveries(leaf, frame), Sql(f"d.contact_id = {frame.alias}.id")])
        return Sql(
            "(SELECT jsonb_build_object('count', count(*), 'last_at', max(b.confirmed_at),"  # noqa: S608
            f" 'pushes', coalesce(jsonb_agg(d.push_id ORDER BY b.confirmed_at DESC), '[]')) FROM {_TABLES}"
            f" WHERE {where.text})",
            where.params,
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """3 次，最近 2026-11-20 12:00."""
        if not actual["count"]:
            return _("没有")
        last = windows.local_text(actual["last_at"], zone)
        return _("%(n)d 次，最近 %(last)s") % {"n": actual["count"], "last": last}

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """近 7 天 收到推送（单聊） ≥ 2 次."""
        parts = []
        if leaf.get("channel") is not None:
            parts.append(str(dict(Channel.choices)[leaf["channel"]]))
        if leaf.get("push_id") is not None:
            parts.append(names.of("push", leaf["push_id"]))
        which = _("（%(parts)s）") % {"parts": _("，").join(parts)} if parts else ""
        what = _("%(window)s %(what)s") % {
            "window": windows.phrase(leaf),
            "what": f"{dict(WHAT)[leaf.get('what') or 'received']}{which}",
        }
        if (leaf["op"], leaf["value"]) in (("eq", 0), ("lt", 1), ("lte", 0)):
            return _("%(what)s 一次也没有") % {"what": what}
        said = ngettext("%(what)s %(sign)s %(n)d 次", "%(what)s %(sign)s %(n)d 次", leaf["value"])
        return said % {"what": what, "sign": compare.SIGN_OF[leaf["op"]], "n": leaf["value"]}


class Journey(Condition):
    """{"kind": "journey", "sop_id": 3 or [3, 4], "state": "in", "op": "has"}: stands so in one of them, or any."""

    kind = "journey"
    label = gettext_lazy("流程")
    group = "touch"
    null_rule = gettext_lazy("没有进过流程的客户算“不是”。")
    params = (
        Param("sop_id", gettext_lazy("流程"), "sop", many=True),
        Param("state", gettext_lazy("状态"), "choice", required=True, choices=STATES),
        Param("op", gettext_lazy("比较"), "choice", choices=HAS, default="has"),
    )

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """A semi-join with the enrolments."""
        made = [
            Sql("n.brand_id = %s", (frame.brand_id,)),
            Sql(f"n.contact_id = {frame.alias}.id"),
            *frame.in_range("n.contact_id"),
            *_stands(leaf["state"], frame),
        ]
        if leaf.get("sop_id") is not None:
            made.append(
                Sql(
                    "n.sop_version_id = ANY (ARRAY(SELECT v.id FROM campaigns_sopversion v"
                    " WHERE v.brand_id = %s AND v.sop_id = ANY (%s::bigint[])))",
                    (frame.brand_id, params.values(leaf["sop_id"])),
                )
            )
        found = exists("campaigns_enrolment n", made)
        return ~found if leaf.get("op") == "has_not" else found

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """Enrolments."""
        return changes.by_sources("outreach")

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """Never by time alone: what is due is an act of the SOP's."""
        return None

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """The contact's enrolments, latest first: [{sop_id, sop, status, entered_at, left_at}], or null."""
        known = Sql("") if frame.known_at is None else Sql(" AND n.entered_at <= %s", (frame.known_at,))
        return Sql(
            "(SELECT jsonb_agg(to_jsonb(x)) FROM (SELECT v.sop_id, s.name AS sop, n.status, n.entered_at, n.left_at"  # noqa: S608
            " FROM campaigns_enrolment n"
            " JOIN campaigns_sopversion v ON v.brand_id = n.brand_id AND v.id = n.sop_version_id"
            " JOIN campaigns_sop s ON s.brand_id = v.brand_id AND s.id = v.sop_id"
            f" WHERE n.brand_id = %s AND n.contact_id = {frame.alias}.id{known.core}"
            " ORDER BY n.entered_at DESC LIMIT 10) x)",
            (frame.brand_id, *known.params),
        )

    def actual_text(self, leaf: Leaf, actual: Any, zone: ZoneInfo) -> str:
        """新客欢迎（在内，2026-11-20 12:00 进入）."""
        if not actual:
            return _("没有进过流程")
        labels = dict(Enrolment.Status.choices)
        return _("、").join(
            _("%(sop)s（%(status)s，%(at)s 进入）")
            % {
                "sop": row["sop"],
                "status": labels.get(row["status"], row["status"]),
                "at": windows.local_text(row["entered_at"], zone),
            }
            for row in actual
        )

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """在流程里（新客欢迎）."""
        which = names.of("sop", leaf["sop_id"]) if leaf.get("sop_id") is not None else _("任一流程")
        states = NOT_STATES if leaf.get("op") == "has_not" else dict(STATES)
        return _("%(state)s（%(which)s）") % {"state": states[leaf["state"]], "which": which}


def _received(leaf: Leaf, frame: Frame) -> list[Sql]:
    where: list[dict[str, Any]] = []
    if leaf.get("channel") is not None:
        where.append({"prop": "channel", "op": "eq", "value": leaf["channel"]})
    if leaf.get("push_id") is not None:
        where.append({"prop": "push_id", "op": "in", "value": params.values(leaf["push_id"])})
    made = matching({**leaf, "event": "message_delivered", "where": where}, frame)
    return [*made, _replied(frame)] if leaf.get("what") == "replied" else made


def _replied(frame: Frame) -> Sql:
    return exists(
        "events_event r",
        [
            Sql("r.brand_id = %s AND r.contact_id = e.contact_id", (frame.brand_id,)),
            Sql(
                "r.occurred_at > e.occurred_at AND r.occurred_at <= e.occurred_at + %s", (timedelta(hours=REPLY_HOURS),)
            ),
            Sql("r.occurred_at < %s", (frame.at,)),
            _own_act(),
            *frame.known("r"),
        ],
    )


def _own_act() -> Sql:
    return Sql("(r.type = ANY (%s) OR starts_with(r.type, 'x_'))", (sorted(BY_THE_CONTACT),))


def _reply_to_come(frame: Frame) -> Sql:
    """When an act whose moment is to come counts as a reply."""
    ahead = Sql(f"r.contact_id = {frame.alias}.id AND r.occurred_at >= %s", (frame.at,))
    where = all_of([Sql("r.brand_id = %s", (frame.brand_id,)), ahead, _own_act(), *frame.known("r")])
    return Sql(
        f"(SELECT min(r.occurred_at) + {changes.TICK} FROM events_event r WHERE {where.text})",  # noqa: S608
        where.params,
    )


_TABLES = (
    "campaigns_delivery d JOIN campaigns_batch b ON b.brand_id = d.brand_id AND b.id = d.batch_id"
    " JOIN campaigns_push p ON p.brand_id = d.brand_id AND p.id = d.push_id"
)


def _deliveries(leaf: Leaf, frame: Frame) -> list[Sql]:
    return [*_asked(leaf, frame), *windows.inside("b.confirmed_at", frame.window(leaf))]


def _asked(leaf: Leaf, frame: Frame) -> list[Sql]:
    """Deliveries of the channel and pushes, whenever they were confirmed."""
    made = [Sql("d.brand_id = %s", (frame.brand_id,))]
    if leaf.get("channel") is not None:
        made.append(Sql("p.channel = %s", (leaf["channel"],)))
    if leaf.get("push_id") is not None:
        made.append(Sql("d.push_id = ANY (%s::bigint[])", (params.values(leaf["push_id"]),)))
    return [*made, *frame.in_range("d.contact_id")]


def _confirmed(leaf: Leaf, frame: Frame, op: str, value: int) -> Sql:
    where = all_of(_deliveries(leaf, frame))
    grouped = Sql(
        f"(SELECT d.contact_id FROM {_TABLES} WHERE {where.text}"  # noqa: S608 - operators are ours
        f" GROUP BY d.contact_id HAVING count(*) {compare.SQL_OF[op]} %s) s",
        (*where.params, value),
    )
    return exists(grouped, [Sql(f"s.contact_id = {frame.alias}.id")])


def _confirmed_flip(leaf: Leaf, frame: Frame) -> Sql:
    """When a confirmation leaves the window."""
    flip, where = changes.row_flip(leaf, frame, "b.confirmed_at"), all_of(_asked(leaf, frame))
    return Sql(
        f"(SELECT min({flip.text}) FROM {_TABLES} WHERE {where.text} AND d.contact_id = {frame.alias}.id)",  # noqa: S608
        (*flip.params, *where.params),
    )


def _stands(state: str, frame: Frame) -> list[Sql]:
    at = frame.known_at
    if at is None:
        return [] if state == "ever" else [Sql("n.status = %s", (str(STATUS_OF[state].value),))]
    entered = Sql("n.entered_at <= %s", (at,))
    if state == "ever":
        return [entered]
    if state == "in":
        return [entered, Sql("(n.left_at IS NULL OR n.left_at > %s)", (at,))]
    return [entered, Sql("n.status = %s AND n.left_at <= %s", (str(STATUS_OF[state].value), at))]


def register_references() -> None:
    """Let conditions name pushes and SOPs. Called when the app is ready."""
    pushes, sops = gettext_lazy("选一个已有的推送。"), gettext_lazy("选一个已有的流程。")
    references.register("push", references.Rows(Push.objects.all, gettext_lazy("推送"), pushes))
    references.register("sop", references.Rows(Sop.objects.all, gettext_lazy("流程"), sops))

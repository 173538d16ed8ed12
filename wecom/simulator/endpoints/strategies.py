"""Rule groups (规则组) of customers and of Moments (reference §7.7, §13): who may do what with whose customers."""

from __future__ import annotations

from typing import Any

from wecom.simulator.errors import Refused
from wecom.simulator.records import CUSTOMER_STRATEGY, MOMENT_STRATEGY, Strategy
from wecom.simulator.wire import Body, Call, endpoint
from wecom.simulator.world import Corp

MOST_STRATEGIES, MOST_LEVELS, MOST_ADMINS, MOST_NODES = 3000, 5, 20, 100
MEMBER, DEPARTMENT = 1, 2
CUSTOMER_RIGHTS = """
    view_customer_list view_customer_data view_room_list contact_me join_room share_customer oper_resign_customer
    oper_resign_group send_customer_msg edit_welcome_msg view_behavior_data view_room_data send_group_msg
    room_deduplication rapid_reply onjob_customer_transfer edit_anti_spam_rule export_customer_list
    export_customer_data export_customer_group_list manage_customer_tag"""
MOMENT_RIGHTS = "send_moment view_moment_list manage_moment_cover_and_sign"
PRIVILEGES = {CUSTOMER_STRATEGY: tuple(CUSTOMER_RIGHTS.split()), MOMENT_STRATEGY: tuple(MOMENT_RIGHTS.split())}

Nodes = list[dict[str, Any]]


def _corpid(call: Call) -> str:
    """One call at a time per corp: a second meanwhile gets 45035."""
    try:
        return call.corp.corpid
    except Refused:
        return ""


def _register(kind: str) -> None:
    """The six calls of one kind of rule group."""
    prefix = f"externalcontact/{kind}_strategy"

    @endpoint("POST", f"{prefix}/list", empty={"strategy": []}, exclusive=_corpid)
    def list_strategies(call: Call) -> Body:
        """cursor, limit ≤ 1000 → strategy[]{strategy_id}. Official 94883, 94890."""
        mine = [{"strategy_id": each.strategy_id} for each in call.corp.strategies.values() if each.kind == kind]
        rows, cursor = call.page(mine, most=1000, default=1000)
        return {"strategy": list(rows), "next_cursor": cursor}

    @endpoint("POST", f"{prefix}/get", empty={"strategy": {}}, exclusive=_corpid)
    def get_strategy(call: Call) -> Body:
        """strategy_id → the rule group without its range."""
        found = _asked(call, kind)
        return {
            "strategy": {
                "strategy_id": found.strategy_id,
                "parent_id": found.parent_id,
                "strategy_name": found.strategy_name,
                "create_time": found.create_time,
                "admin_list": found.admin_list,
                "privilege": found.privilege,
            }
        }

    @endpoint("POST", f"{prefix}/get_range", empty={"range": []}, exclusive=_corpid)
    def get_range(call: Call) -> Body:
        """strategy_id, cursor, limit ≤ 1000 → range[]{type 1 member / 2 department, userid or partyid}."""
        rows, cursor = call.page(_asked(call, kind).nodes, most=1000, default=1000)
        return {"range": list(rows), "next_cursor": cursor}

    @endpoint("POST", f"{prefix}/create", empty={"strategy_id": 0}, exclusive=_corpid)
    def create_strategy(call: Call) -> Body:
        """parent_id, strategy_name, admin_list ≤ 20, privilege, range → strategy_id."""
        corp = call.corp
        parent = None
        if call.number("parent_id", default=0):
            parent = _named(corp, call.number("parent_id"), kind)
        name = call.text("strategy_name", missing=40058)
        admins = _admins(call)
        nodes = _nodes(call, "range")
        if not admins or not nodes:
            raise Refused(40058, "admin_list and range must not be empty")
        if len(corp.strategies) >= MOST_STRATEGIES or _level(corp, parent) >= MOST_LEVELS:
            raise Refused(40058, "too many rule groups or levels")
        privilege = _privilege(call, kind, {})
        _check_within(corp, parent, nodes, privilege)
        number = corp.next_serial()
        parent_id = parent.strategy_id if parent else 0
        corp.strategies[number] = Strategy(number, kind, parent_id, name, call.now, admins, privilege, nodes)
        return {"strategy_id": number}

    @endpoint("POST", f"{prefix}/edit", exclusive=_corpid)
    def edit_strategy(call: Call) -> Body:
        """strategy_id, strategy_name, admin_list, privilege, range_add[], range_del[]."""
        found = _asked(call, kind)
        parent = call.corp.strategies.get(found.parent_id)
        name = call.text("strategy_name") or found.strategy_name
        admins = _admins(call) or found.admin_list
        privilege = _privilege(call, kind, found.privilege)
        added, removed = _nodes(call, "range_add"), _nodes(call, "range_del")
        nodes = [node for node in found.nodes if node not in removed]
        nodes += [node for node in added if node not in nodes]
        _check_within(call.corp, parent, added, privilege)
        found.strategy_name, found.admin_list, found.privilege, found.nodes = name, admins, privilege, nodes
        return {}

    @endpoint("POST", f"{prefix}/del", exclusive=_corpid)
    def delete_strategy(call: Call) -> Body:
        """strategy_id: it and those below it are gone."""
        doomed = [_asked(call, kind).strategy_id]
        for number in doomed:
            doomed.extend(each.strategy_id for each in call.corp.strategies.values() if each.parent_id == number)
        for number in doomed:
            del call.corp.strategies[number]
        return {}


_register(CUSTOMER_STRATEGY)
_register(MOMENT_STRATEGY)


def _asked(call: Call, kind: str) -> Strategy:
    return _named(call.corp, call.number("strategy_id"), kind)


def _named(corp: Corp, number: int, kind: str) -> Strategy:
    found = corp.strategies.get(number)
    if found is None or found.kind != kind:
        raise Refused(40058, "invalid strategy_id")
    return found


def _admins(call: Call) -> list[str]:
    admins = call.strings("admin_list", most=MOST_ADMINS)
    if any(call.corp.member(userid) is None for userid in admins):
        raise Refused(40003)
    return admins


def _nodes(call: Call, name: str) -> Nodes:
    """Members and departments, at most 100. Raises Refused 40058, 40003, 60003."""
    given = call.given(name) or []
    if not isinstance(given, list) or len(given) > MOST_NODES:
        raise Refused(40058, f"invalid {name}")
    nodes: Nodes = []
    for each in given:
        kind = each.get("type") if isinstance(each, dict) else None
        if kind == MEMBER and isinstance(each.get("userid"), str):
            member = call.corp.member(each["userid"])
            if member is None:
                raise Refused(40003)
            nodes.append({"type": MEMBER, "userid": member.userid})
        elif kind == DEPARTMENT and isinstance(each.get("partyid"), int):
            if each["partyid"] not in call.corp.departments:
                raise Refused(60003)
            nodes.append({"type": DEPARTMENT, "partyid": each["partyid"]})
        else:
            raise Refused(40058, f"invalid {name}")
    return nodes


def _privilege(call: Call, kind: str, before: dict[str, bool]) -> dict[str, bool]:
    """Every right of the kind; what is not sent stays as it was, at first off."""
    given = call.record("privilege")
    if any(not isinstance(value, bool) for value in given.values()):
        raise Refused(40058, "invalid privilege")
    return {name: bool(given.get(name, before.get(name, False))) for name in PRIVILEGES[kind]}


def _level(corp: Corp, parent: Strategy | None) -> int:
    """How many levels there are down to the parent."""
    level = 0
    while parent is not None:
        level, parent = level + 1, corp.strategies.get(parent.parent_id)
    return level


def _check_within(corp: Corp, parent: Strategy | None, nodes: Nodes, privilege: dict[str, bool]) -> None:
    """A child has at most its parent's range and rights. Raises Refused 40058."""
    if parent is None:
        return
    if any(given and not parent.privilege.get(name) for name, given in privilege.items()):
        raise Refused(40058, "more rights than the parent has")
    users = {node["userid"] for node in parent.nodes if node["type"] == MEMBER}
    parties: set[int] = set()
    for node in parent.nodes:
        if node["type"] == DEPARTMENT and node["partyid"] in corp.departments:
            parties.update(corp.below(node["partyid"]))
    for node in nodes:
        if node["type"] == DEPARTMENT:
            within = node["partyid"] in parties
        else:
            within = node["userid"] in users or bool(parties.intersection(corp.members[node["userid"]].department))
        if not within:
            raise Refused(40058, "beyond the parent's range")

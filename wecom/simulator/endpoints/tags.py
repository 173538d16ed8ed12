"""Corp tags (客户标签, reference §8)."""

from __future__ import annotations

from typing import Any

from wecom.simulator import library
from wecom.simulator.errors import Refused
from wecom.simulator.records import CUSTOMER_STRATEGY
from wecom.simulator.wire import Body, Call, endpoint
from wecom.simulator.world import Tag, TagGroup

NAME_CHARS = 30


@endpoint("POST", "externalcontact/get_corp_tag_list", empty={"tag_group": []})
def get_corp_tag_list(call: Call) -> Body:
    """tag_id[], group_id[] (both optional) → groups with their tags. Deleted ones show only when asked for by id."""
    return _library(call, strategy_id=0)


@endpoint("POST", "externalcontact/get_strategy_tag_list", empty={"tag_group": []})
def get_strategy_tag_list(call: Call) -> Body:
    """strategy_id, or tag_id[], or group_id[] → groups of rule groups' tags, each with its strategy_id. 94882."""
    number = call.number("strategy_id", default=0)
    if number and number not in call.corp.strategies:
        raise Refused(40058, "invalid strategy_id")
    return _library(call, strategy_id=number or None)


def _library(call: Call, *, strategy_id: int | None) -> Body:
    """Tag groups of the corp (0), of one rule group, or of any rule group (None)."""
    corp = call.corp
    group_ids, tag_ids = set(call.strings("group_id")), set(call.strings("tag_id"))
    mine = [
        group
        for group in corp.tag_groups.values()
        if (group.strategy_id == strategy_id if strategy_id is not None else group.strategy_id > 0)
    ]
    groups = sorted(mine, key=lambda group: -group.order)
    by_id = bool(group_ids or tag_ids)
    tags: dict[str, list[Tag]] = {group.group_id: [] for group in groups}
    for tag in sorted(corp.tags.values(), key=lambda tag: -tag.order):
        wanted = not tag.deleted if not by_id else bool(group_ids) or tag.tag_id in tag_ids
        if wanted and tag.group_id in tags:
            tags[tag.group_id].append(tag)
    if group_ids:
        groups = [group for group in groups if group.group_id in group_ids]
    elif tag_ids:
        groups = [group for group in groups if tags[group.group_id]]
    else:
        groups = [group for group in groups if not group.deleted]
    return {"tag_group": [_group(group, tags[group.group_id], deleted=by_id) for group in groups]}


@endpoint("POST", "externalcontact/add_corp_tag", empty={"tag_group": {}})
def add_corp_tag(call: Call) -> Body:
    """group_id or group_name, tag[] {name, order} → the group with the tags of this request. Official 92117."""
    return _add(call, strategy_id=0)


@endpoint("POST", "externalcontact/add_strategy_tag", empty={"tag_group": {}})
def add_strategy_tag(call: Call) -> Body:
    """The same for a top-level rule group (strategy_id)."""
    number = call.number("strategy_id")
    strategy = call.corp.strategies.get(number)
    if strategy is None or strategy.parent_id or strategy.kind != CUSTOMER_STRATEGY:
        raise Refused(40058, "invalid strategy_id")
    return _add(call, strategy_id=number)


def _add(call: Call, *, strategy_id: int) -> Body:
    corp = call.corp
    given = call.given("tag")
    if not isinstance(given, list) or not given:
        raise Refused(40063, "tag is empty")
    tags: dict[str, int] = {}
    for each in given:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise Refused(40058, "invalid tag")
        tags.setdefault(_name(each["name"]), _order(each.get("order")))
    group_id = call.text("group_id")
    if group_id:
        group = corp.tag_groups.get(group_id)
        if group is None or group.deleted or group.strategy_id != strategy_id:
            raise Refused(40068)
    else:
        name = _name(call.text("group_name", missing=40063))
        found = library.group_named(corp, name, strategy_id=strategy_id)
        order = _order(call.given("order"))
        prefix = "st" if strategy_id else "et"
        group = found or TagGroup(corp.new_id(prefix), name, call.now, order, strategy_id=strategy_id)
    made = library.create_tags(
        call.engine, corp, group=group, tags=list(tags.items()), agentid=call.app.agentid, by_api=True
    )
    return {"tag_group": _group(group, made)}


@endpoint("POST", "externalcontact/edit_corp_tag")
def edit_corp_tag(call: Call) -> Body:
    """id (of a tag or a group), name, order."""
    return _edit(call, of_strategy=False)


@endpoint("POST", "externalcontact/edit_strategy_tag")
def edit_strategy_tag(call: Call) -> Body:
    """The same for a rule group's tag."""
    return _edit(call, of_strategy=True)


def _edit(call: Call, *, of_strategy: bool) -> Body:
    item = _own(call, call.text("id", missing=40063), of_strategy=of_strategy)
    name = call.text("name")
    order = _order(call.given("order")) if call.given("order") is not None else None
    library.rename_tag(call.engine, call.corp, item, name=_name(name) if name else "", order=order, by_api=True)
    return {}


@endpoint("POST", "externalcontact/del_corp_tag")
def del_corp_tag(call: Call) -> Body:
    """tag_id[], group_id[] (not both empty): delete and strip from all customers."""
    return _delete(call, of_strategy=False)


@endpoint("POST", "externalcontact/del_strategy_tag")
def del_strategy_tag(call: Call) -> Body:
    """The same for rule groups' tags."""
    return _delete(call, of_strategy=True)


def _delete(call: Call, *, of_strategy: bool) -> Body:
    tag_ids, group_ids = call.strings("tag_id"), call.strings("group_id")
    if not tag_ids and not group_ids:
        raise Refused(40063)
    for item_id in [*tag_ids, *group_ids]:
        _own(call, item_id, of_strategy=of_strategy)
    if any(each not in call.corp.tags for each in tag_ids):
        raise Refused(40068)
    if any(each not in call.corp.tag_groups for each in group_ids):
        raise Refused(40068)
    library.delete_tags(call.engine, call.corp, tag_ids=tag_ids, group_ids=group_ids, by_api=True)
    return {}


def _pair(call: Call) -> str:
    return f"{call.query.get('access_token')}:{call.given('userid')}:{call.given('external_userid')}"


@endpoint("POST", "externalcontact/mark_tag", exclusive=_pair)
def mark_tag(call: Call) -> Body:
    """userid, external_userid, add_tag[], remove_tag[]: repeats are harmless. Official 92118."""
    follow = call.follow()
    add, remove = call.strings("add_tag"), call.strings("remove_tag")
    if not add and not remove:
        raise Refused(40063, "add_tag and remove_tag are both empty")
    library.mark(call.engine, call.corp, follow, add=add, remove=remove, by_api=True)
    return {}


def _own(call: Call, item_id: str, *, of_strategy: bool) -> Tag | TagGroup:
    """A living tag or group that this app may change: it made it. Raises Refused 40068, 81011."""
    corp, agentid = call.corp, call.app.agentid
    tag = corp.tags.get(item_id)
    holder = corp.tag_groups.get(tag.group_id if tag else item_id)
    if holder is None or (holder.strategy_id > 0) is not of_strategy:
        raise Refused(40068)
    if tag is not None and not tag.deleted:
        if tag.agentid != agentid:
            raise Refused(81011)
        return tag
    group = corp.tag_groups.get(item_id)
    if group is None or group.deleted:
        raise Refused(40068)
    if any(tag.agentid != agentid for tag in library.tags_of(corp, item_id)):
        raise Refused(81011)
    return group


def _group(group: TagGroup, tags: list[Tag], *, deleted: bool = False) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "group_id": group.group_id,
        "group_name": group.name,
        "create_time": group.create_time,
        "order": group.order,
    }
    if group.strategy_id:
        shown["strategy_id"] = group.strategy_id
    if deleted:
        shown["deleted"] = group.deleted
    shown["tag"] = [_tag(tag, deleted=deleted) for tag in tags]
    return shown


def _tag(tag: Tag, *, deleted: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": tag.tag_id,
        "name": tag.name,
        "create_time": tag.create_time,
        "order": tag.order,
    }
    return shown | ({"deleted": tag.deleted} if deleted else {})


def _name(name: str) -> str:
    if not 1 <= len(name) <= NAME_CHARS:
        raise Refused(40072)
    return name


def _order(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        raise Refused(40058, "invalid order")
    return value

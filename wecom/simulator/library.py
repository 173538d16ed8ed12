"""The tag library of a corp and of its rule groups, and tags on customers (reference §8, §21.3)."""

from __future__ import annotations

from wecom.simulator.engine import Engine
from wecom.simulator.errors import Refused
from wecom.simulator.outbound import EventField
from wecom.simulator.relations import edited
from wecom.simulator.world import Corp, Follow, Tag, TagGroup

TAG_EVENT = "change_external_tag"
MAX_TAGS = 10_000
MAX_TAGS_PER_PAIR = 3000


def mark(engine: Engine, corp: Corp, follow: Follow, *, add: list[str], remove: list[str], by_api: bool) -> None:
    """Put corp tags on the pair and take them off. Raises Refused 40068 for an unknown tag, 40058 above 3000."""
    for tag_id in [*add, *remove]:
        if tag_id not in corp.tags or corp.tags[tag_id].deleted:
            raise Refused(40068)
    gone = set(remove)
    kept = [tag for tag in follow.tags if tag not in gone]
    kept += [tag for tag in add if tag not in kept]
    if len(kept) > MAX_TAGS_PER_PAIR:
        raise Refused(40058, "too many tags on one customer")
    if kept != follow.tags:
        follow.tags = kept
        edited(engine, corp, follow, by_api=by_api)


def create_tags(
    engine: Engine, corp: Corp, *, group: TagGroup, tags: list[tuple[str, int]], agentid: int, by_api: bool
) -> list[Tag]:
    """Add tags (name, order) to a group, entering the group if it is new. Raises Refused 40071, 40126."""
    known = {tag.name: tag for tag in tags_of(corp, group.group_id)}
    clash = [name for name, _ in tags if name in known]
    if clash and not engine.switches.existing_tag_returned:
        raise Refused(40071)
    alive = sum(1 for tag in corp.tags.values() if not tag.deleted)
    if alive + len(tags) - len(clash) > MAX_TAGS:
        raise Refused(40126)
    if group.group_id not in corp.tag_groups:
        corp.tag_groups[group.group_id] = group
        engine.emit(corp, TAG_EVENT, "create", _tag_event(group.group_id, "tag_group", group), by_api=by_api)
    made: list[Tag] = []
    for name, order in tags:
        tag = known.get(name)
        if tag is None:
            tag = Tag(
                corp.new_id("st" if group.strategy_id else "et"), group.group_id, name, engine.now(), order, agentid
            )
            corp.tags[tag.tag_id] = tag
            known[name] = tag
            engine.emit(
                corp, TAG_EVENT, "create", _tag_event(tag.tag_id, "tag", corp.tag_groups[tag.group_id]), by_api=by_api
            )
        if tag not in made:
            made.append(tag)
    return made


def rename_tag(engine: Engine, corp: Corp, item: Tag | TagGroup, *, name: str, order: int | None, by_api: bool) -> None:
    """Change the name or order of a tag or a group. Raises Refused 40071 when the name is taken."""
    if name:
        _refuse_clash(corp, item, name)
        item.name = name
    if order is not None:
        item.order = order
    is_tag = isinstance(item, Tag)
    item_id = item.tag_id if isinstance(item, Tag) else item.group_id
    body = _tag_event(item_id, "tag" if is_tag else "tag_group", corp.tag_groups[item.group_id])
    engine.emit(corp, TAG_EVENT, "update", body, by_api=by_api)


def delete_tags(engine: Engine, corp: Corp, *, tag_ids: list[str], group_ids: list[str], by_api: bool) -> None:
    """Delete tags and whole groups, strip them from every customer; a group goes with its last tag."""
    doomed = dict.fromkeys(tag_id for tag_id in tag_ids if not corp.tags[tag_id].deleted)  # in the order of the request
    groups = [corp.tag_groups[group_id] for group_id in group_ids if not corp.tag_groups[group_id].deleted]
    single = [corp.tags[tag_id] for tag_id in doomed if corp.tags[tag_id].group_id not in group_ids]
    for group in groups:
        doomed |= dict.fromkeys(tag.tag_id for tag in tags_of(corp, group.group_id))
    for tag_id in doomed:
        corp.tags[tag_id].deleted = True
    for tag in single:
        engine.emit(
            corp, TAG_EVENT, "delete", _tag_event(tag.tag_id, "tag", corp.tag_groups[tag.group_id]), by_api=by_api
        )
    inhabited = {tag.group_id for tag in corp.tags.values() if not tag.deleted}
    for group in corp.tag_groups.values():
        if not group.deleted and group.group_id not in inhabited:
            group.deleted = True
            engine.emit(corp, TAG_EVENT, "delete", _tag_event(group.group_id, "tag_group", group), by_api=by_api)
    for mine in corp.follows_of.values():
        for follow in mine.values():
            if follow.tags and not doomed.keys().isdisjoint(follow.tags):
                follow.tags = [tag for tag in follow.tags if tag not in doomed]


def tags_of(corp: Corp, group_id: str) -> list[Tag]:
    """The living tags of a group, larger order first, then as created."""
    found = [tag for tag in corp.tags.values() if tag.group_id == group_id and not tag.deleted]
    return sorted(found, key=lambda tag: -tag.order)


def group_named(corp: Corp, name: str, *, strategy_id: int = 0) -> TagGroup | None:
    """The living tag group of that name among the corp's, or among those of a rule group."""
    alive = (each for each in corp.tag_groups.values() if not each.deleted and each.strategy_id == strategy_id)
    return next((group for group in alive if group.name == name), None)


def shuffle_tags(engine: Engine, corp: Corp, group: TagGroup, tag_ids: list[str]) -> None:
    """The console puts the tags of a group into this order."""
    for place, tag_id in enumerate(reversed(tag_ids)):
        tag = corp.tags.get(tag_id)
        if tag is not None and tag.group_id == group.group_id:
            tag.order = place
    body: list[EventField] = [("Id", group.group_id)]
    engine.emit(corp, TAG_EVENT, "shuffle", [*body, ("StrategyId", group.strategy_id)] if group.strategy_id else body)


def _tag_event(item_id: str, kind: str, group: TagGroup) -> list[EventField]:
    body: list[EventField] = [("Id", item_id), ("TagType", kind)]
    return [*body, ("StrategyId", group.strategy_id)] if group.strategy_id else body


def _refuse_clash(corp: Corp, item: Tag | TagGroup, name: str) -> None:
    if isinstance(item, Tag):
        taken = any(tag.name == name and tag is not item for tag in tags_of(corp, item.group_id))
    else:
        taken = group_named(corp, name, strategy_id=item.strategy_id) not in (None, item)
    if taken:
        raise Refused(40071)

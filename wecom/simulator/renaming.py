"""A member gets another userid (reference §21.5: update_user with NewUserID): everything of theirs goes along."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from wecom.simulator.engine import Engine
from wecom.simulator.records import Chat, LinkCustomer, TempChat, pair_key
from wecom.simulator.world import Corp, Group, Member

Value = TypeVar("Value")


def rename(engine: Engine, corp: Corp, member: Member, new: str) -> None:
    """Give the member the userid `new`, which nobody has. What the journal says of earlier days stays as it was."""
    old, member.userid = member.userid, new
    corp.members = _moved(corp.members, old, new)
    corp.renamed = {was: new if now == old else now for was, now in corp.renamed.items() if was != new} | {old: new}
    del corp.spelling[old.lower()]
    corp.spelling[new.lower()] = new
    _friendships(corp, old, new)
    for group in corp.groups.values():
        _group(group, old, new)
    _made_by_api(corp, old, new)
    _asked_to_send(corp, old, new)
    _inheritance(corp, old, new)
    corp.behaviour = {_head(key, old, new): counts for key, counts in corp.behaviour.items()}
    for app in corp.apps:
        if app.visible is not None:
            app.visible["users"] = _named(app.visible["users"], old, new)
        app.unlicensed = _named(app.unlicensed, old, new)
    for tag in corp.member_tags.values():
        tag.userids = _named(tag.userids, old, new)
    for strategy in corp.strategies.values():
        strategy.admin_list = _named(strategy.admin_list, old, new)
        for node in strategy.nodes:
            if node.get("userid") == old:
                node["userid"] = new
    for _, _, corpid, _, arguments in engine.agenda.heap:
        if corpid == corp.corpid:
            arguments[:] = _named(arguments, old, new)


def _friendships(corp: Corp, old: str, new: str) -> None:
    """The member's customers, chats with them, and those who came by a link."""
    corp.follows_of = _moved(corp.follows_of, old, new)
    for follow in corp.follows_of[new].values():
        follow.userid = new
        follow.oper_userid = new if follow.oper_userid == old else follow.oper_userid
        corp.followers_of[follow.external_userid] = _moved(corp.followers_of[follow.external_userid], old, new)
    pairs: list[Chat | TempChat | LinkCustomer] = [*corp.chats.values(), *corp.temp_chats.values()]
    for pair in [*pairs, *corp.link_customers.values()]:
        if pair.userid == old:
            pair.userid, pair.key = new, pair_key(new, pair.external_userid)
    corp.chats = {each.key: each for each in corp.chats.values()}
    corp.temp_chats = {each.key: each for each in corp.temp_chats.values()}
    corp.link_customers = {each.key: each for each in corp.link_customers.values()}
    for key in corp.chat_keys.values():
        key.pair = _head(key.pair, old, new)
    for code in corp.welcome_codes.values():
        code.userid = new if code.userid == old else code.userid


def _group(group: Group, old: str, new: str) -> None:
    group.owner = new if group.owner == old else group.owner
    group.heir = new if group.heir == old else group.heir
    group.admins = _named(group.admins, old, new)
    group.talk = {
        f"{day}|{new if who == old else who}": said
        for (day, _, who), said in ((key.partition("|"), said) for key, said in group.talk.items())
    }
    if old in group.members:
        group.members[old].userid = new
        group.members = _moved(group.members, old, new)
    for person in group.members.values():
        person.invitor = new if person.invitor == old else person.invitor


def _made_by_api(corp: Corp, old: str, new: str) -> None:
    """Codes and links that lead to the member."""
    for way in corp.contact_ways.values():
        way.settings["user"] = _named(way.settings["user"], old, new)
    for rule in corp.intercept_rules.values():
        rule.users = _named(rule.users, old, new)
    for link in corp.links.values():
        link.users = _named(link.users, old, new)
        link.priority_users = _named(link.priority_users, old, new)


def _asked_to_send(corp: Corp, old: str, new: str) -> None:
    """The member's parts of mass sends and Moments."""
    for task in corp.mass_tasks.values():
        if old in task.members:
            task.members[old].userid = new
            task.members = _moved(task.members, old, new)
    for moment in corp.moments.values():
        if old in moment.members:
            moment.members[old].userid = new
            moment.members = _moved(moment.members, old, new)


def _inheritance(corp: Corp, old: str, new: str) -> None:
    for transfer in corp.transfers.values():
        transfer.handover_userid = new if transfer.handover_userid == old else transfer.handover_userid
        transfer.takeover_userid = new if transfer.takeover_userid == old else transfer.takeover_userid
    corp.given_groups = {_head(key, old, new): count for key, count in corp.given_groups.items()}


def _moved(table: dict[str, Value], old: str, new: str) -> dict[str, Value]:
    """The table with one key renamed, in the same order."""
    return {new if key == old else key: value for key, value in table.items()}


def _named(userids: Iterable[str], old: str, new: str) -> list[str]:
    return [new if each == old else each for each in userids]


def _head(key: str, old: str, new: str) -> str:
    """A key `userid|…` under the new userid."""
    return new + key[len(old) :] if key.startswith(f"{old}|") else key

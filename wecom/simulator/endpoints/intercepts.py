"""Rules against words in chats (聊天敏感词, reference §16)."""

from __future__ import annotations

from typing import Any

from wecom.simulator.errors import Refused
from wecom.simulator.records import InterceptRule
from wecom.simulator.wire import Body, Call, endpoint

MOST_RULES, MOST_WORDS, MOST_IN_RANGE = 100, 300, 1000
NAME_CHARS, WORD_CHARS = 20, 32
BLOCK, WARN = 1, 2
SEMANTICS = (1, 2, 3)  # phone, e-mail, red packet


@endpoint("POST", "externalcontact/add_intercept_rule", empty={"rule_id": ""})
def add_rule(call: Call) -> Body:
    """rule_name, word_list ≤ 300, semantics_list, intercept_type, applicable_range → rule_id. Official 95097."""
    name = _name(call)
    words, semantics = _words(call), _semantics(call.given("semantics_list"))
    kind = _kind(call)
    users, departments = _range(call, "applicable_range")
    if not users and not departments:
        raise Refused(40058, "applicable_range is empty")
    living = [each for each in call.corp.intercept_rules.values() if not each.deleted]
    if len(living) >= MOST_RULES:
        raise Refused(41069)
    rule = InterceptRule(call.corp.new_id("", 32), name, words, semantics, kind, users, departments, call.now)
    call.corp.intercept_rules[rule.rule_id] = rule
    return {"rule_id": rule.rule_id}


@endpoint("GET", "externalcontact/get_intercept_rule_list", empty={"rule_list": []})
def list_rules(call: Call) -> Body:
    """→ rule_list[]{rule_id, rule_name, create_time}."""
    living = [each for each in call.corp.intercept_rules.values() if not each.deleted]
    return {
        "rule_list": [
            {"rule_id": each.rule_id, "rule_name": each.rule_name, "create_time": each.create_time} for each in living
        ]
    }


@endpoint("POST", "externalcontact/get_intercept_rule", empty={"rule": {}})
def get_rule(call: Call) -> Body:
    """rule_id → rule."""
    rule = _asked(call)
    return {
        "rule": {
            "rule_id": rule.rule_id,
            "rule_name": rule.rule_name,
            "word_list": rule.words,
            "extra_rule": {"semantics_list": rule.semantics},
            "intercept_type": rule.intercept_type,
            "applicable_range": {"user_list": rule.users, "department_list": rule.departments},
        }
    }


@endpoint("POST", "externalcontact/update_intercept_rule")
def update_rule(call: Call) -> Body:
    """rule_id and what changes; the range by add_applicable_range and remove_applicable_range."""
    rule = _asked(call)
    name = _name(call, rule) if call.given("rule_name") is not None else rule.rule_name
    words = _words(call) if call.given("word_list") is not None else rule.words
    extra = call.record("extra_rule")
    semantics = _semantics(extra.get("semantics_list")) if "semantics_list" in extra else rule.semantics
    kind = _kind(call) if call.given("intercept_type") is not None else rule.intercept_type
    more, more_below = _range(call, "add_applicable_range")
    less, less_below = _range(call, "remove_applicable_range")
    users = [each for each in dict.fromkeys([*rule.users, *more]) if each not in less]
    departments = [each for each in dict.fromkeys([*rule.departments, *more_below]) if each not in less_below]
    if len(users) > MOST_IN_RANGE or len(departments) > MOST_IN_RANGE:
        raise Refused(41076)
    if not users and not departments:
        raise Refused(40058, "applicable_range is empty")
    rule.rule_name, rule.words, rule.semantics, rule.intercept_type = name, words, semantics, kind
    rule.users, rule.departments = users, departments
    return {}


@endpoint("POST", "externalcontact/del_intercept_rule")
def delete_rule(call: Call) -> Body:
    """rule_id: 41071 from now on."""
    _asked(call).deleted = True
    return {}


def _asked(call: Call) -> InterceptRule:
    rule = call.corp.intercept_rules.get(call.text("rule_id", missing=41070))
    if rule is None:
        raise Refused(41070)
    if rule.deleted:
        raise Refused(41071)
    return rule


def _name(call: Call, mine: InterceptRule | None = None) -> str:
    name = call.text("rule_name", missing=40058, chars=NAME_CHARS)
    taken = (each for each in call.corp.intercept_rules.values() if not each.deleted and each is not mine)
    if any(each.rule_name == name for each in taken):
        raise Refused(41077)
    return name


def _words(call: Call) -> list[str]:
    words = call.strings("word_list", missing=40058)
    if len(words) > MOST_WORDS:
        raise Refused(41068)
    if any(not 1 <= len(each) <= WORD_CHARS for each in words):
        raise Refused(41083)
    return words


def _semantics(given: Any) -> list[int]:
    if given is None:
        return []
    if not isinstance(given, list) or any(type(each) is not int or each not in SEMANTICS for each in given):
        raise Refused(41084)
    return list(dict.fromkeys(given))


def _kind(call: Call) -> int:
    kind = call.number("intercept_type", missing=40058)
    if kind not in (BLOCK, WARN):
        raise Refused(40058, "invalid intercept_type")
    return kind


def _range(call: Call, name: str) -> tuple[list[str], list[int]]:
    """(userids, departments). Raises Refused 41076 (too many), 40003, 60003, 60011."""
    given = call.record(name)
    users, departments = given.get("user_list") or [], given.get("department_list") or []
    if not isinstance(users, list) or not isinstance(departments, list):
        raise Refused(40058, f"invalid {name}")
    if len(users) > MOST_IN_RANGE or len(departments) > MOST_IN_RANGE:
        raise Refused(41076)
    found = []
    for each in users:
        member = call.corp.member(each) if isinstance(each, str) else None
        if member is None:
            raise Refused(40003)
        if not call.sees(member):
            raise Refused(60011)
        found.append(member.userid)
    if any(type(each) is not int or each not in call.corp.departments for each in departments):
        raise Refused(60003)
    if not call.seen_departments().issuperset(departments):
        raise Refused(60011)
    return list(dict.fromkeys(found)), list(dict.fromkeys(departments))

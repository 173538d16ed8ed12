"""Between a corp's ids and a provider's (reference §5.3). These calls take ids as they are given, untranslated."""

from __future__ import annotations

from wecom.simulator.errors import Refused
from wecom.simulator.identities import View
from wecom.simulator.wire import DIRECTORY, PROVIDERS, SELF_BUILT, Body, Call, endpoint

MOST = 1000


@endpoint("POST", "externalcontact/get_new_external_userid", kinds=PROVIDERS, empty={"items": []}, plain_ids=True)
def get_new_external_userid(call: Call) -> Body:
    """external_userid_list ≤ 1000 of the corp's ids → items; the provider's own come back unchanged."""
    return _new_ids(call)


@endpoint(
    "POST", "externalcontact/groupchat/get_new_external_userid", kinds=PROVIDERS, empty={"items": []}, plain_ids=True
)
def get_new_group_external_userid(call: Call) -> Body:
    """chat_id, external_userid_list → items, for members of a group who are nobody's customer."""
    if call.text("chat_id", missing=40063) not in call.corp.groups:
        raise Refused(40058, "invalid chat_id")
    return _new_ids(call)


@endpoint("POST", "externalcontact/to_service_external_userid", kinds=PROVIDERS, plain_ids=True)
def to_service_external_userid(call: Call) -> Body:
    """external_userid of the corp → the provider's."""
    external_userid = call.text("external_userid", missing=41035)
    if external_userid not in call.corp.customers:
        raise Refused(40096)
    return {"external_userid": _view(call).outward(external_userid)}


@endpoint("POST", "externalcontact/from_service_external_userid", kinds=SELF_BUILT, plain_ids=True)
def from_service_external_userid(call: Call) -> Body:
    """external_userid of a provider, source_agentid (its app) → the corp's."""
    given, agentid = call.text("external_userid", missing=41035), call.number("source_agentid")
    plain = _view_of_app(call, agentid).inward(given)
    if plain not in call.corp.customers or plain == given:
        raise Refused(40096)
    return {"external_userid": plain}


@endpoint(
    "POST",
    "idconvert/external_tagid",
    kinds=PROVIDERS,
    empty={"items": [], "invalid_external_tagid_list": []},
    plain_ids=True,
)
def external_tagid(call: Call) -> Body:
    """external_tagid_list of the corp → the provider's, and those that are no tags."""
    given = call.strings("external_tagid_list", most=MOST, missing=40063)
    known = [each for each in given if each in call.corp.tags]
    return {
        "items": [{"external_tagid": each, "open_external_tagid": _view(call).outward(each)} for each in known],
        "invalid_external_tagid_list": [each for each in given if each not in call.corp.tags],
    }


@endpoint("POST", "externalcontact/unionid_to_external_userid", kinds=PROVIDERS)
def unionid_to_external_userid(call: Call) -> Body:
    """The older path for providers: unionid, openid → external_userid; 84061 when nobody follows that person."""
    unionid = call.text("unionid", missing=40063)
    call.text("openid", missing=40063)
    customer = call.corp.by_unionid.get(unionid)
    if customer is None or all(each.half for each in call.corp.followers_of[customer.external_userid].values()):
        raise Refused(84061)
    return {"external_userid": customer.external_userid}


@endpoint(
    "POST",
    "batch/userid_to_openuserid",
    kinds=PROVIDERS,
    empty={"open_userid_list": [], "invalid_userid_list": []},
    plain_ids=True,
)
def userid_to_openuserid(call: Call) -> Body:
    """userid_list ≤ 1000 of the corp → open_userid_list, and those who are not members."""
    given = call.strings("userid_list", most=MOST, missing=40063)
    known = [(each, member) for each in given if (member := call.corp.member(each)) is not None]
    names = {each for each, _ in known}
    return {
        "open_userid_list": [
            {"userid": each, "open_userid": _view(call).outward(member.userid)} for each, member in known
        ],
        "invalid_userid_list": [each for each in given if each not in names],
    }


@endpoint(
    "POST",
    "batch/openuserid_to_userid",
    kinds=DIRECTORY - PROVIDERS,
    empty={"userid_list": [], "invalid_open_userid_list": []},
    plain_ids=True,
)
def openuserid_to_userid(call: Call) -> Body:
    """open_userid_list ≤ 1000, source_agentid (the provider's app) → userid_list, and those that are not ours."""
    given = call.strings("open_userid_list", most=MOST, missing=40063)
    view = _view_of_app(call, call.number("source_agentid"))
    plain = {each: view.inward(each) for each in given}
    known = [each for each in given if plain[each] in call.corp.members and plain[each] != each]
    return {
        "userid_list": [{"open_userid": each, "userid": plain[each]} for each in known],
        "invalid_open_userid_list": [each for each in given if each not in known],
    }


def _new_ids(call: Call) -> Body:
    given = call.strings("external_userid_list", most=MOST, missing=40063)
    view, items = _view(call), []
    for each in given:
        if each in call.corp.customers:
            items.append({"external_userid": each, "new_external_userid": view.outward(each)})
        elif view.inward(each) in call.corp.customers:
            items.append({"external_userid": each, "new_external_userid": each})
    return {"items": items}


def _view(call: Call) -> View:
    return call.engine.suites.identities.of(call.suite.provider, call.corp)


def _view_of_app(call: Call, agentid: int) -> View:
    """What the provider of the app `agentid` sees of this corp. Raises Refused 40056."""
    app = next((each for each in call.corp.apps if each.agentid == agentid), None)
    suite = call.engine.suites.suite_of(app) if app else None
    if suite is None:
        raise Refused(40056)
    return call.engine.suites.identities.of(suite.provider, call.corp)

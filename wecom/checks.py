"""The live check of a connected corp: each thing it must let us do, tried by reading only, with a plain verdict.

Nothing here creates, sends or changes anything in the corp. The first steps build on each other, so that the first
failure ends them; the permissions after them are independent, and each is said for itself."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import Text
from wecom.client import WeComClient
from wecom.errors import Busy, Misconfigured, Throttled, Unreachable, WeComError
from wecom.policy import ADMIN, SCOPE, error_of, remedy_of

APP_DISABLED = 50003
IP_UNTRUSTED = "wecom.ip_untrusted"
NOT_ALLOWED = "wecom.permission_withdrawn"

STEPS: dict[str, Text] = {
    "credentials": gettext_lazy("企业 ID 与 Secret"),
    "agent": gettext_lazy("AgentId 与可见范围"),
    "permission": gettext_lazy("客户联系权限"),
    "members": gettext_lazy("可用的员工"),
    "customers": gettext_lazy("客户"),
    "tags": gettext_lazy("企业标签"),
    "groups": gettext_lazy("客户群"),
    "sends": gettext_lazy("群发消息"),
    "moments": gettext_lazy("客户朋友圈"),
    "contact_ways": gettext_lazy("「联系我」二维码"),
    "acquisition": gettext_lazy("获客助手"),
    "directory": gettext_lazy("通讯录"),
    "address": gettext_lazy("回调地址"),
    "handshake": gettext_lazy("回调验证"),
    "callback": gettext_lazy("接收回调"),
}
ACQUISITION = gettext_lazy("只有用获客链接时才需要：企业开通获客助手后，把本应用加入 获客助手 的“可调用接口的应用”。")
BY_HAND = gettext_lazy("请过几分钟再试。")
"""what a call that the system repeats by itself is to whoever pressed a button"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one step of the check found. Not `ok` and `partial`: it works, but for a part of what was meant."""

    step: str
    ok: bool
    detail: str
    remedy: str = ""
    partial: bool = False
    code: str = ""

    @property
    def label(self) -> str:
        """The step in words."""
        return str(STEPS[self.step])


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose app is tried. `provided`: the app came by an authorisation of ours, not made by the corp itself."""

    wecom: WeComClient
    provided: bool = False
    at: datetime | None = None


Trial = Callable[[Subject], Iterator[Verdict]]


def foundations(subject: Subject, trouble: list[Misconfigured]) -> list[Verdict]:
    """Credentials, app, customer contact, staff: in order, up to and with the first that fails.

    What an operator must mend is put into `trouble`. A WeCom that does not answer, or wants a pause, is raised, no
    verdict."""
    # An operator who has just mended the secret in WeCom must not be told the answer of a minute ago.
    subject.wecom.transport.tokens.forget_refusal()
    trials = {"credentials": credentials, "agent": agent, "permission": _permission}
    return _in_order(subject, trials, trouble)


def app_only(subject: Subject, trouble: list[Misconfigured]) -> list[Verdict]:
    """What an app must have that does not speak for 客户联系."""
    subject.wecom.transport.tokens.forget_refusal()
    return _in_order(subject, {"credentials": credentials, "agent": agent}, trouble)


def _in_order(subject: Subject, trials: Mapping[str, Trial], trouble: list[Misconfigured]) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for step, trial in trials.items():
        try:
            verdicts += trial(subject)
        except (Unreachable, Throttled) as away:
            raise _to_try_again(away) from None
        except WeComError as refusal:
            if not refusal.errcode:  # whoever answered was not WeCom
                raise
            if isinstance(refusal, Misconfigured):
                trouble.append(refusal)
            verdicts.append(refused(step, refusal, provided=subject.provided))
            break
    return verdicts


def permissions(subject: Subject, *, at: datetime) -> list[Verdict]:
    """Every further permission by itself. A WeCom that does not answer is raised, no verdict."""
    trials: dict[str, Callable[[], Verdict]] = {"customers": partial(_customers, subject)}
    for step, api, body, works in _probes(at):
        trials[step] = partial(_tried, subject, step, api, body, works)
    trials["directory"] = partial(_directory, subject)
    verdicts = []
    for step, trial in trials.items():
        try:
            verdicts.append(trial())
        except Unreachable as away:
            raise _to_try_again(away) from None
        except WeComError as refusal:
            # Without customers nothing works; without one of the others, the rest does.
            is_part = step != "customers" or isinstance(refusal, Throttled)
            verdicts.append(refused(step, refusal, provided=subject.provided, partial=is_part))
    return verdicts


def refused(step: str, refusal: WeComError, *, provided: bool = False, partial: bool = False) -> Verdict:
    """A refusal of WeCom's as a verdict, with the remedy that fits the step and the kind of app."""
    code = refusal.problem_code
    remedy = str(remedy_of(code, provided=provided))
    if isinstance(refusal, Throttled):
        remedy = str(BY_HAND)
    elif code == IP_UNTRUSTED and refusal.from_ip:
        remedy = _("企业微信看到的服务器 IP 是 %(ip)s。") % {"ip": refusal.from_ip} + remedy
    elif step == "acquisition":
        remedy = str(ACQUISITION)
    elif step == "directory" and code == NOT_ALLOWED and not provided:
        remedy = str(ADMIN)  # the list of apps that may call is that of 客户联系
    return Verdict(step, False, str(refusal.detail), remedy, partial=partial, code=refusal.problem_code)


def _to_try_again(away: Unreachable | Throttled) -> Unreachable | Throttled:
    """The same, said to somebody for whom nothing is repeated."""
    if isinstance(away, Busy | Throttled):
        away.remedy = BY_HAND
    return away


# -- the foundations --------------------------------------------------------------------------------------------------


def credentials(subject: Subject) -> Iterator[Verdict]:
    """corpid and secret: a token fetched anew, for one from before a reset proves nothing."""
    transport = subject.wecom.transport
    transport.tokens.forget()
    _token_now = transport.access_token
    yield Verdict("credentials", True, _("企业微信接受了企业 ID 和 Secret。"))


def agent(subject: Subject) -> Iterator[Verdict]:
    """The AgentId is of this secret, the app is on, and how much of the corp it sees."""
    shown = subject.wecom.agent(agent_id=subject.wecom.agent_id)
    if shown.closed:
        raise error_of(APP_DISABLED, api="agent/get")
    if 1 in shown.department_ids:
        yield Verdict("agent", True, _("应用“%(name)s”可见整个企业。") % {"name": shown.name})
        return
    seen = {"name": shown.name, "departments": len(shown.department_ids), "members": len(shown.userids)}
    yield Verdict(
        "agent",
        False,
        _("应用“%(name)s”可见 %(departments)d 个部门、另有 %(members)d 位员工，不是整个企业。") % seen,
        _("如果有导购不在其中，请在企业微信管理后台 › 应用管理 › 本应用 › 可见范围 加入。"),
        partial=True,
    )


def _permission(subject: Subject) -> Iterator[Verdict]:
    count = len(subject.wecom.follow_users())
    yield Verdict("permission", True, _("应用可以调用客户联系接口。"))
    if count:
        yield Verdict("members", True, _("%(count)d 位员工开通了客户联系。") % {"count": count})
    else:
        yield Verdict("members", False, _("可见范围里没有开通客户联系的员工，同步不到客户。"), str(SCOPE), partial=True)


# -- the permissions --------------------------------------------------------------------------------------------------


def _probes(at: datetime) -> list[tuple[str, str, dict[str, Any], Text]]:
    """(step, a call that only reads, its body, what to say when it works)."""
    lately = {"start_time": int((at - timedelta(days=1)).timestamp()), "end_time": int(at.timestamp())}
    a_group = {"status_filter": 0, "limit": 1}
    links = "externalcontact/customer_acquisition/list_link"
    return [
        ("tags", "externalcontact/get_corp_tag_list", {}, _("可以读取企业标签。")),
        ("groups", "externalcontact/groupchat/list", a_group, _("可以读取客户群。")),
        (
            "sends",
            "externalcontact/get_groupmsg_list_v2",
            {"chat_type": "single", **lately, "limit": 1},
            _("可以读取群发任务。"),
        ),
        (
            "moments",
            "externalcontact/get_moment_list",
            {**lately, "filter_type": 2, "limit": 1},
            _("可以读取客户朋友圈。"),
        ),
        ("contact_ways", "externalcontact/list_contact_way", {"limit": 1}, _("可以读取「联系我」二维码。")),
        ("acquisition", links, {"limit": 1}, _("可以读取获客链接。")),
    ]


def _tried(subject: Subject, step: str, api: str, body: dict[str, Any], works: Text) -> Verdict:
    subject.wecom.transport.call("post", api, body=body)
    return Verdict(step, True, str(works))


def _customers(subject: Subject) -> Verdict:
    """The customers of the first member who has 客户联系, if there is one."""
    userids = subject.wecom.follow_users()
    count = len(subject.wecom.external_userids(userid=userids[0])) if userids else 0
    if not userids:
        return Verdict("customers", False, _("没有可用的员工，读不到客户。"), str(SCOPE), partial=True)
    return Verdict("customers", True, _("可以读取客户；第一位员工有 %(count)d 位客户。") % {"count": count})


def _directory(subject: Subject) -> Verdict:
    departments = subject.wecom.departments()
    members = subject.wecom.department_users(department_id=departments[0].id) if departments else []
    if not departments:
        text = _("应用看不到任何部门，员工不会归到门店。")
        return Verdict("directory", False, text, str(SCOPE), partial=True)
    unnamed = subject.provided or (bool(members) and all(member.name == member.userid for member in members))
    said = _("可以读取 %(count)d 个部门。") % {"count": len(departments)}
    if unnamed:
        said += _("企业微信不向这个应用提供员工姓名，后台显示员工 ID。")
    return Verdict("directory", True, said)

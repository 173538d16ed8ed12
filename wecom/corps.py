"""Connecting a brand's corp: what is typed in is tried on WeCom first, and the verdicts are said in plain words.

`connect` saves nothing that WeCom refuses. `check` runs the same steps on a connected corp and clears its trouble when
all pass; the page of the corp shows either as the list of verdicts."""

import base64
import secrets
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scrm.lib.errors import FieldError, Invalid, Text, found
from tenants import audit
from tenants.actors import Actor
from tenants.scope import brand_scope
from wecom import troubles
from wecom.client import CONTACT, WeComClient
from wecom.errors import Misconfigured, WeComError
from wecom.models import CallbackEndpoint, Corp, CorpApp, InboxItem, QuotaMode
from wecom.policy import SCOPE, error_of

note_trouble = troubles.note
clear_trouble = troubles.clear

CALLBACK_PATH = "callbacks/wecom/"
APP_DISABLED = 50003
LETTERS = string.ascii_letters + string.digits

STEPS: dict[str, Text] = {
    "credentials": gettext_lazy("企业 ID 与 Secret"),
    "agent": gettext_lazy("AgentId 与可见范围"),
    "permission": gettext_lazy("客户联系权限"),
    "members": gettext_lazy("可用的员工"),
    "callback": gettext_lazy("接收回调"),
}
# Which field of the form a refusal is about.
FIELDS = {
    "wecom.bad_corpid": "corpid",
    "wecom.bad_secret": "secret",
    "wecom.bad_agent": "agent_id",
    "wecom.ip_untrusted": "secret",
    "wecom.permission_withdrawn": "secret",
}


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
class Connected:
    """What the operator copies into WeCom's console: address, Token and EncodingAESKey of the callbacks."""

    corp_id: int
    endpoint_id: UUID
    token: str
    aes_key: str
    verdicts: list[Verdict]

    @property
    def callback_url(self) -> str:
        """The address as WeCom must call it."""
        return callback_url(self.endpoint_id)


def callback_url(endpoint_id: UUID) -> str:
    """The public address of an endpoint, the same from a brand's page as from a worker (`reverse` would differ)."""
    return f"{settings.PUBLIC_URL.rstrip('/')}/{CALLBACK_PATH}{endpoint_id}/"


def connect(
    *,
    brand_id: int,
    corpid: str,
    name: str,
    agent_id: int,
    secret: str,
    quota_mode: str = QuotaMode.MONTH_DAYS,
    actor: Actor,
    at: datetime,
) -> Connected:
    """Try the credentials on WeCom, then save corp, app and callback endpoint. Opens its own scopes.

    The same corpid again replaces name, secret and quota mode and keeps the callback's address and keys. Raises Invalid
    naming the field when WeCom refuses (nothing is saved), or another WeComError when it can't be asked."""
    corpid, secret, name = corpid.strip(), secret.strip(), name.strip()
    _check_form(corpid=corpid, name=name, agent_id=agent_id, secret=secret, quota_mode=quota_mode)
    wecom = WeComClient(corpid=corpid, secret=secret, agent_id=agent_id)
    verdicts = _tried(wecom, [])
    refusal = next((verdict for verdict in verdicts if not verdict.ok and not verdict.partial), None)
    if refusal is not None:
        field = FIELDS.get(refusal.code, "secret")
        wrong = FieldError(field, refusal.code, refusal.detail, refusal.remedy)
        raise Invalid(refusal.detail, remedy=refusal.remedy, errors=[wrong], code=refusal.code)
    with brand_scope(brand_id):
        corp, _new = Corp.objects.get_or_create(corpid=corpid, defaults={"name": name})
        before = {"name": corp.name, "quota_mode": corp.quota_mode} if corp.connected_at else None
        corp.name, corp.quota_mode, corp.connected_at = name, quota_mode, at
        corp.callback_token = corp.callback_token or _token()
        corp.callback_aes_key = corp.callback_aes_key or _aes_key()
        corp.trouble_code = corp.trouble_detail = ""
        corp.trouble_at = None
        corp.save()
        CorpApp.objects.update_or_create(
            corp=corp, agent_id=agent_id, defaults={"kind": CONTACT, "secret": secret, "name": name}
        )
        # One app speaks for 客户联系: an earlier one would go on being used with its old secret.
        CorpApp.objects.filter(corp=corp, kind=CONTACT).exclude(agent_id=agent_id).delete()
        endpoint, _made = CallbackEndpoint.objects.get_or_create(brand_id=brand_id, corp_id=corp.pk)
        after = {"name": name, "corpid": corpid, "agent_id": agent_id, "quota_mode": quota_mode}
        audit.record(
            actor=actor, action="corp.connect", object_type="corp", object_id=corp.pk, before=before, after=after, at=at
        )
    return Connected(corp.pk, endpoint.pk, corp.callback_token, corp.callback_aes_key, verdicts)


def check(*, brand_id: int, corp_id: int, at: datetime) -> list[Verdict]:
    """Run every step on a connected corp; notes what is wrong, or clears it. Opens its own scopes. Raises NotFound."""
    with brand_scope(brand_id):
        corp = found(Corp.objects.filter(pk=corp_id))
        app = found(CorpApp.objects.filter(corp=corp_id, kind=CONTACT).order_by("id"))
        heard = InboxItem.objects.filter(corp=corp_id).order_by("-received_at").values_list("received_at", flat=True)
        last_heard = heard.first()
    trouble: list[Misconfigured] = []
    verdicts = _tried(WeComClient(corpid=corp.corpid, secret=app.secret, agent_id=app.agent_id), trouble)
    verdicts.append(_callback_verdict(last_heard))
    if trouble:
        troubles.note(brand_id=brand_id, corp_id=corp_id, error=trouble[-1], at=at)
    elif all(verdict.ok or verdict.partial for verdict in verdicts):
        troubles.clear(brand_id=brand_id, corp_id=corp_id)
    return verdicts


# -- the steps --------------------------------------------------------------------------------------------------------


def _tried(wecom: WeComClient, trouble: list[Misconfigured]) -> list[Verdict]:
    """The steps in order, up to and with the first that fails; what an operator must mend is put into `trouble`.

    A WeCom that does not answer is raised, no verdict."""
    # An operator who has just mended the secret in WeCom must not be told the answer of a minute ago.
    wecom.transport.tokens.forget_refusal()
    verdicts: list[Verdict] = []
    for step, trial in (
        ("credentials", _credentials),
        ("agent", _agent),
        ("permission", _permission),
        ("members", _members),
    ):
        try:
            verdicts += trial(wecom)
        except WeComError as refusal:
            if not refusal.errcode:
                raise
            if isinstance(refusal, Misconfigured):
                trouble.append(refusal)
            verdicts.append(Verdict(step, False, str(refusal.detail), str(refusal.remedy), code=refusal.problem_code))
            break
    return verdicts


Trial = Callable[[WeComClient], Iterator[Verdict]]


def _credentials(wecom: WeComClient) -> Iterator[Verdict]:
    wecom.transport.tokens.drop(wecom.transport.access_token)  # a token from before the secret was reset proves nothing
    _token_now = wecom.transport.access_token
    yield Verdict("credentials", True, _("企业微信接受了企业 ID 和 Secret。"))


def _agent(wecom: WeComClient) -> Iterator[Verdict]:
    agent = wecom.agent(agent_id=wecom.agent_id)
    if agent.closed:
        raise error_of(APP_DISABLED, api="agent/get")
    whole = 1 in agent.department_ids
    departments = len(wecom.departments())
    if whole:
        yield Verdict("agent", True, _("应用“%(name)s”可见整个企业。") % {"name": agent.name})
    else:
        yield Verdict(
            "agent",
            False,
            _("应用“%(name)s”可见 %(departments)d 个部门、另有 %(members)d 位员工，不是整个企业。")
            % {"name": agent.name, "departments": departments, "members": len(agent.userids)},
            _("如果有导购不在其中，请在企业微信管理后台 › 应用管理 › 本应用 › 可见范围 加入。"),
            partial=True,
        )


def _permission(wecom: WeComClient) -> Iterator[Verdict]:
    wecom.corp_tags()
    yield Verdict("permission", True, _("应用可以调用客户联系接口。"))


def _members(wecom: WeComClient) -> Iterator[Verdict]:
    count = len(wecom.follow_users())
    if count:
        yield Verdict("members", True, _("%(count)d 位员工开通了客户联系。") % {"count": count})
    else:
        yield Verdict("members", False, _("可见范围里没有开通客户联系的员工，同步不到客户。"), str(SCOPE), partial=True)


def _callback_verdict(last_heard: datetime | None) -> Verdict:
    if last_heard is not None:
        at = last_heard.strftime("%Y-%m-%d %H:%M UTC")
        return Verdict("callback", True, _("最近一次收到回调：%(at)s。") % {"at": at})
    return Verdict(
        "callback",
        False,
        _("还没有收到过企业微信的回调。"),
        _("在企业微信管理后台 › 本应用 › 接收消息 › 设置 API 接收，填入本页的 URL、Token、EncodingAESKey。"),
        partial=True,
    )


# -- the form ---------------------------------------------------------------------------------------------------------


def _check_form(*, corpid: str, name: str, agent_id: int, secret: str, quota_mode: str) -> None:
    wrong = [
        FieldError(field, "required", _("请填写。"))
        for field, value in (("corpid", corpid), ("name", name), ("agent_id", agent_id), ("secret", secret))
        if not value
    ]
    if quota_mode not in QuotaMode.values:
        choices = "、".join(QuotaMode.values)
        wrong.append(FieldError("quota_mode", "choice", _("额度模式应是 %(choices)s 之一。") % {"choices": choices}))
    if wrong:
        raise Invalid(_("有字段不正确。"), errors=wrong)


def _token() -> str:
    return "".join(secrets.choice(LETTERS) for _place in range(32))


def _aes_key() -> str:
    """43 letters and digits that decode to 32 bytes, as WeCom's console makes them."""
    while True:
        key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        if key.isalnum():
            return key

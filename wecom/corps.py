"""Connecting a brand's corp, and what an operator does with it afterwards.

What is typed in is tried on WeCom first: `connect`, `add_app` and `rotate_secret` save nothing that WeCom refuses.
`check` runs every step on a connected corp and clears its trouble when what caused it passes; the corp's page shows the
verdicts. A corp that was disconnected keeps what was synced and can be connected again."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _

from scrm.lib.errors import Conflict, FieldError, Invalid, found
from tenants import audit
from tenants.actors import Actor
from tenants.scope import brand_scope
from wecom import callback_check, callback_keys, checks, troubles
from wecom.checks import Subject, Verdict
from wecom.client import WeComClient
from wecom.errors import Misconfigured
from wecom.models import AppKind, CallbackEndpoint, Corp, CorpApp, InboxItem, QuotaMode, Suite
from wecom.policy import policy_named
from wecom.provider import authorise

CALLBACK_PATH = "callbacks/wecom/"
# Which field of the form a refusal is about.
FIELDS = {
    "wecom.bad_corpid": "corpid",
    "wecom.bad_secret": "secret",
    "wecom.bad_agent": "agent_id",
    "wecom.app_disabled": "agent_id",
    "wecom.ip_untrusted": "secret",
    "wecom.permission_withdrawn": "secret",
}


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


# -- connecting -------------------------------------------------------------------------------------------------------


def connect(
    *,
    brand_id: int,
    corpid: str,
    name: str,
    agent_id: int,
    secret: str,
    quota_mode: str = QuotaMode.MONTH_DAYS,
    callback_token: str = "",
    callback_aes_key: str = "",
    actor: Actor,
    at: datetime,
) -> Connected:
    """Try the credentials on WeCom, then save corp, app and callback endpoint. Opens its own scopes.

    The callback's keys are made unless given. The same corpid again replaces name, secret and quota mode and keeps the
    callback's address, and its keys unless given. Raises Invalid naming the field when WeCom refuses (nothing is
    saved), Conflict for a corp that is here by an authorisation, or another WeComError when WeCom can't be asked."""
    corpid, secret, name = corpid.strip(), secret.strip(), name.strip()
    token, aes_key = callback_token.strip(), callback_aes_key.strip()
    wrong = _wrong_in(corpid=corpid, name=name, agent_id=agent_id, secret=secret)
    wrong += _wrong_mode(quota_mode) + callback_keys.wrong_in(token=token, aes_key=aes_key)
    if wrong:
        raise Invalid(_("有字段不正确。"), errors=wrong)
    subject = Subject(WeComClient(corpid=corpid, secret=secret, agent_id=agent_id))
    verdicts = _must_pass(checks.foundations(subject, []))
    with brand_scope(brand_id):
        corp, _new = Corp.objects.get_or_create(corpid=corpid, defaults={"name": name})
        if corp.suite_id and corp.connected_at:
            raise Conflict(_("这个企业是通过服务商授权接入的。"), remedy=_("先断开接入，再用自建应用接入。"))
        before = {"name": corp.name, "quota_mode": corp.quota_mode} if corp.connected_at else None
        corp.name, corp.quota_mode, corp.connected_at, corp.suite = name, quota_mode, at, None
        corp.callback_token = token or corp.callback_token or callback_keys.new_token()
        corp.callback_aes_key = aes_key or corp.callback_aes_key or callback_keys.new_aes_key()
        corp.trouble_code = corp.trouble_detail = ""
        corp.trouble_at = None
        corp.save()
        # One app speaks for 客户联系: an earlier one would go on being used with its old secret.
        CorpApp.objects.filter(corp=corp, kind=AppKind.CONTACT).exclude(agent_id=agent_id).delete()
        CorpApp.objects.update_or_create(
            corp=corp, agent_id=agent_id, defaults={"kind": AppKind.CONTACT, "secret": secret, "name": name}
        )
        endpoint, _made = CallbackEndpoint.objects.get_or_create(brand_id=brand_id, corp_id=corp.pk)
        after = {"name": name, "corpid": corpid, "agent_id": agent_id, "quota_mode": quota_mode}
        audit.record(
            actor=actor, action="corp.connect", object_type="corp", object_id=corp.pk, before=before, after=after, at=at
        )
    return Connected(corp.pk, endpoint.pk, corp.callback_token, corp.callback_aes_key, verdicts)


def disconnect(*, brand_id: int, corp_id: int, confirm: str, actor: Actor, at: datetime) -> None:
    """Stop working with the corp: secrets and callback address go, what was synced stays. Opens its own scopes.

    `confirm` is the corp's name typed out: nobody disconnects the wrong one by a click. Callbacks that wait are let
    go. WeCom is not told; a provider's authorisation waits for a brand again. Raises NotFound, Invalid."""
    with brand_scope(brand_id):
        corp = found(Corp.objects.filter(pk=corp_id))
        if confirm.strip() != corp.name:
            wrong = FieldError("confirm", "mismatch", _("请完整输入企业名称。"))
            raise Invalid(wrong.message, errors=[wrong])
        apps = list(CorpApp.objects.filter(corp=corp).exclude(secret=""))
        CorpApp.objects.filter(corp=corp, kind=AppKind.CONTACT).update(secret="")
        CorpApp.objects.filter(corp=corp).exclude(kind=AppKind.CONTACT).delete()
        CallbackEndpoint.objects.filter(brand=brand_id, corp_id=corp.pk).delete()
        InboxItem.objects.filter(corp=corp, status=InboxItem.Status.PENDING).update(
            status=InboxItem.Status.IGNORED, processed_at=at, error="wecom.disconnected"
        )
        Corp.objects.filter(pk=corp.pk).update(
            connected_at=None, callback_verified_at=None, trouble_code="", trouble_detail="", trouble_at=None
        )
        contact = next((app for app in apps if app.kind == AppKind.CONTACT), None)
        if corp.suite_id and contact:
            authorise.release(suite_id=corp.suite_id, corpid=corp.corpid, permanent_code=contact.secret)
        audit.record(actor=actor, action="corp.disconnect", object_type="corp", object_id=corp.pk, at=at)
    for app in apps:
        WeComClient(corpid=corp.corpid, secret=app.secret).transport.tokens.forget()


# -- apps, secrets, keys ----------------------------------------------------------------------------------------------


def add_app(
    *, brand_id: int, corp_id: int, agent_id: int, secret: str, name: str, kind: str, actor: Actor, at: datetime
) -> CorpApp:
    """Add a further app of the corp, for another purpose than 客户联系, after trying it. Opens its own scopes.

    The same AgentId again replaces its secret. Raises NotFound, Invalid, WeComError."""
    secret, name = secret.strip(), name.strip()
    with brand_scope(brand_id):
        corp = found(Corp.objects.filter(pk=corp_id))
        speaker = CorpApp.objects.filter(corp=corp, agent_id=agent_id, kind=AppKind.CONTACT).exists()
    wrong = _wrong_in(name=name, agent_id=agent_id, secret=secret)
    if kind not in AppKind.values or kind == AppKind.CONTACT:
        wrong.append(FieldError("kind", "choice", _("请选择应用的用途。")))
    if speaker:
        wrong.append(FieldError("agent_id", "taken", _("这个应用已用于客户联系。")))
    if wrong:
        raise Invalid(_("有字段不正确。"), errors=wrong)
    _must_pass(checks.app_only(Subject(WeComClient(corpid=corp.corpid, secret=secret, agent_id=agent_id)), []))
    with brand_scope(brand_id):
        app, _new = CorpApp.objects.update_or_create(
            corp_id=corp_id, agent_id=agent_id, defaults={"kind": kind, "secret": secret, "name": name[:100]}
        )
        after = {"agent_id": agent_id, "kind": kind}
        audit.record(actor=actor, action="corp.add_app", object_type="corp", object_id=corp_id, after=after, at=at)
    return app


def remove_app(*, brand_id: int, corp_id: int, app_id: int, actor: Actor, at: datetime) -> None:
    """Forget a further app. Opens its own scope. Raises NotFound, Conflict for the one of 客户联系."""
    with brand_scope(brand_id):
        app = found(CorpApp.objects.filter(pk=app_id, corp=corp_id))
        if app.kind == AppKind.CONTACT:
            raise Conflict(_("客户联系应用不能单独移除。"), remedy=_("要停用它，请断开接入。"))
        before = {"agent_id": app.agent_id, "kind": app.kind}
        app.delete()
        audit.record(actor=actor, action="corp.remove_app", object_type="corp", object_id=corp_id, before=before, at=at)


def rotate_secret(*, brand_id: int, corp_id: int, app_id: int, secret: str, actor: Actor, at: datetime) -> None:
    """Replace an app's secret by the one that was made anew in WeCom, after trying it. Opens its own scopes.

    Raises NotFound, Invalid (nothing is changed), Conflict for a provider's app, WeComError."""
    secret = secret.strip()
    with brand_scope(brand_id):
        corp = found(Corp.objects.filter(pk=corp_id))
        app = found(CorpApp.objects.filter(pk=app_id, corp=corp_id))
    if corp.suite_id:
        raise Conflict(_("服务商应用的凭证由企业微信自动更新，不用手工更换。"))
    wrong = _wrong_in(secret=secret)
    if wrong:
        raise Invalid(_("有字段不正确。"), errors=wrong)
    subject = Subject(WeComClient(corpid=corp.corpid, secret=secret, agent_id=app.agent_id))
    _must_pass((checks.foundations if app.kind == AppKind.CONTACT else checks.app_only)(subject, []))
    with brand_scope(brand_id):
        CorpApp.objects.filter(pk=app_id).update(secret=secret)
        if app.kind == AppKind.CONTACT:
            Corp.objects.filter(pk=corp_id).update(
                connected_at=corp.connected_at or at, trouble_code="", trouble_detail="", trouble_at=None
            )
        after = {"agent_id": app.agent_id}
        audit.record(
            actor=actor, action="corp.rotate_secret", object_type="corp", object_id=corp_id, after=after, at=at
        )
    if app.secret and app.secret != secret:
        WeComClient(corpid=corp.corpid, secret=app.secret).transport.tokens.forget()


def rotate_callback_keys(
    *, brand_id: int, corp_id: int, token: str = "", aes_key: str = "", actor: Actor, at: datetime
) -> None:
    """New Token and EncodingAESKey, made or given; callbacks are refused until WeCom has them too. Opens its own scope.

    Raises NotFound, Invalid."""
    token, aes_key = token.strip(), aes_key.strip()
    wrong = callback_keys.wrong_in(token=token, aes_key=aes_key)
    if wrong:
        raise Invalid(_("有字段不正确。"), errors=wrong)
    with brand_scope(brand_id):
        corp = Corp.objects.filter(pk=corp_id)
        found(corp)
        corp.update(
            callback_token=token or callback_keys.new_token(),
            callback_aes_key=aes_key or callback_keys.new_aes_key(),
            callback_verified_at=None,
        )
        audit.record(actor=actor, action="corp.rotate_callback_keys", object_type="corp", object_id=corp_id, at=at)


# -- checking ---------------------------------------------------------------------------------------------------------


def check(*, brand_id: int, corp_id: int, at: datetime) -> list[Verdict]:
    """Run every step on a connected corp; notes what is wrong, or clears it. Opens its own scopes. Raises NotFound."""
    with brand_scope(brand_id):
        corp = found(Corp.objects.filter(pk=corp_id))
        app = found(CorpApp.objects.filter(corp=corp_id, kind=AppKind.CONTACT).order_by("id"))
        heard = InboxItem.objects.filter(corp=corp_id).order_by("-received_at").values_list("received_at", flat=True)
        last_heard = heard.first()
    if not app.secret:
        ended = policy_named(corp.trouble_code or "wecom.disconnected")
        return [Verdict("credentials", False, str(ended.detail), str(ended.remedy), code=ended.code)]
    trouble: list[Misconfigured] = []
    provided = corp.suite_id is not None
    wecom = WeComClient(corpid=corp.corpid, secret=app.secret, agent_id=app.agent_id, provider=provided)
    subject = Subject(wecom, provided=provided)
    verdicts = checks.foundations(subject, trouble)
    if verdicts[0].step == "credentials" and not verdicts[0].ok:
        verdicts = _authorisation(corp, app.secret, at) or verdicts
        if verdicts[0].code == authorise.CANCELLED:
            return verdicts  # noted where it was found out
    elif not trouble:
        verdicts += checks.permissions(subject, at=at)
    endpoint = CallbackEndpoint.objects.filter(brand=brand_id, corp_id=corp.pk).first()
    address = callback_url(endpoint.pk) if endpoint else ""
    verdicts += callback_check.verdicts(corp, address=address, last_heard=last_heard, at=at)
    if trouble:
        troubles.note(brand_id=brand_id, corp_id=corp_id, error=trouble[-1], at=at)
    elif corp.trouble_code not in {verdict.code for verdict in verdicts if not verdict.ok}:
        troubles.clear(corp)
    return verdicts


def _authorisation(corp: Corp, secret: str, at: datetime) -> list[Verdict]:
    """Whether a provider's app is refused because the corp took its authorisation back, unheard by us."""
    suite = Suite.objects.filter(pk=corp.suite_id).first() if corp.suite_id else None
    if suite is None or authorise.still_granted(suite=suite, corpid=corp.corpid, permanent_code=secret, at=at):
        return []
    ended = policy_named(authorise.CANCELLED)
    return [Verdict("credentials", False, str(ended.detail), str(ended.remedy), code=ended.code)]


# -- the forms --------------------------------------------------------------------------------------------------------


def _must_pass(verdicts: list[Verdict]) -> list[Verdict]:
    """The verdicts. Raises Invalid, naming the field, for the first that failed."""
    refusal = next((verdict for verdict in verdicts if not verdict.ok and not verdict.partial), None)
    if refusal is None:
        return verdicts
    wrong = FieldError(FIELDS.get(refusal.code, "secret"), refusal.code, refusal.detail, refusal.remedy)
    raise Invalid(refusal.detail, remedy=refusal.remedy, errors=[wrong], code=refusal.code)


def _wrong_in(**fields: object) -> list[FieldError]:
    return [FieldError(name, "required", _("请填写。")) for name, value in fields.items() if not value]


def _wrong_mode(quota_mode: str) -> list[FieldError]:
    if quota_mode in QuotaMode.values:
        return []
    choices = "、".join(QuotaMode.values)
    return [FieldError("quota_mode", "choice", _("额度模式应是 %(choices)s 之一。") % {"choices": choices})]

"""A corp's authorisation of our suite: the link that asks for it, what comes of it, its change and its end.

Every operation here opens its own scopes and may talk to WeCom. An authorisation belongs to the brand whose link was
used; one that came without a link waits until somebody at the installation assigns it."""

import logging
import secrets
import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from scrm.lib.errors import Conflict, found
from tenants import audit
from tenants.actors import Actor
from tenants.models import Brand
from tenants.scope import brand_scope
from wecom import callback_keys
from wecom.client import WeComClient
from wecom.errors import Misconfigured
from wecom.models import AppKind, Authorisation, AuthorisationLink, CallbackEndpoint, Corp, CorpApp, QuotaMode, Suite
from wecom.policy import REAUTHORISE, policy_named
from wecom.provider.calls import AuthorisedApp, ProviderCalls, SuiteCalls
from wecom.provider.suites import CLOCKS_APART, redirect_url

logger = logging.getLogger("wecom")

STATE_LETTERS = string.ascii_letters + string.digits
LINK_LIVES = timedelta(minutes=20)
"""a pre-auth code's life (§5.1 step 3); of a template's link what WeCom says"""
CANCELLED = "wecom.authorisation_cancelled"
ELSEWHERE = "wecom.authorised_elsewhere"
GONE = "wecom.provider_authorisation"
"""WeCom's own word for it: the permanent code is no longer good (40084, 48004)"""
SPENT = "wecom.code_expired"
"""an auth_code that was used or is too old: a page opened again brings no other one"""
SYSTEM = Actor("system", "WeCom")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an authorisation. `corp_id` is None while it waits for a brand."""

    authorisation_id: int
    brand_id: int | None
    corp_id: int | None
    problem_code: str = ""


# -- the link ---------------------------------------------------------------------------------------------------------


def make_link(*, suite_id: int, brand_id: int, actor: Actor, at: datetime) -> AuthorisationLink:
    """A link for the corp's administrator to open or scan; its `state` ties what comes back to brand and seat.

    Raises NotFound, or WeCom's errors: Misconfigured when no suite_ticket was heard."""
    suite = found(Suite.objects.filter(pk=suite_id))
    state = "".join(secrets.choice(STATE_LETTERS) for _place in range(32))
    if suite.provider_secret:
        url, lives = ProviderCalls(suite).template_link(suite_id=suite.suite_id, state=state)
        expires_at = at + (timedelta(seconds=lives) if lives else LINK_LIVES)
    else:
        calls = SuiteCalls(suite)
        code, lives = calls.pre_auth_code()
        calls.set_session(pre_auth_code=code, trial=suite.trial)
        query = {
            "suite_id": suite.suite_id,
            "pre_auth_code": code,
            "redirect_uri": redirect_url(suite),
            "state": state,
        }
        url, expires_at = f"{settings.WECOM_INSTALL_URL}?{urlencode(query)}", at + timedelta(seconds=lives)
    link = AuthorisationLink(state=state, suite=suite, brand_id=brand_id, url=url, made_at=at, expires_at=expires_at)
    link.made_by, link.made_by_label = actor.id, actor.label
    with brand_scope(brand_id):
        link.save(force_insert=True)
        audit.record(actor=actor, action="corp.authorise", object_type="suite", object_id=suite.suite_id, at=at)
    return link


# -- what comes of it -------------------------------------------------------------------------------------------------


def grant(*, suite: Suite, auth_code: str, state: str, said_at: datetime, at: datetime) -> Outcome:
    """Take an auth_code (of a new authorisation, a renewed one, or a reset secret) and put the permanent code into use.

    Raises WeCom's errors; a code that was used before is Rejected (wecom.code_expired)."""
    app = SuiteCalls(suite).exchange(auth_code=auth_code)
    with transaction.atomic():
        link = AuthorisationLink.objects.filter(state=state, suite=suite).select_for_update().first() if state else None
        kept, held = _kept(suite, app, said_at)
        # A link is good for one corp; who scans it later waits, as one who came without a link.
        asked_for = link.brand_id if link and link.used_at is None and link.expires_at > at - LINK_LIVES else None
        problem = ELSEWHERE if held and asked_for and kept.brand_id != asked_for else ""
        if asked_for and asked_for != kept.brand_id and not problem:
            kept.brand_id, kept.corp_id = asked_for, None
        kept.save()
    outcome = _installed(kept, actor=_actor_of(link), at=at)
    if link:
        with transaction.atomic():
            AuthorisationLink.objects.filter(pk=link.pk).update(
                used_at=at, problem_code=problem, corp_id=None if problem else outcome.corp_id
            )
    ids = {"suite": suite.pk, "authorisation": kept.pk, "brand": kept.brand_id}
    logger.info("wecom.provider.granted", extra=ids)
    return Outcome(outcome.authorisation_id, outcome.brand_id, outcome.corp_id, problem)


def assign(*, authorisation_id: int, brand_id: int, actor: Actor, at: datetime) -> Outcome:
    """Give a waiting corp to a brand: decided at the installation. Raises NotFound, Conflict when it has one."""
    with transaction.atomic():
        kept = found(Authorisation.objects.filter(pk=authorisation_id).select_for_update(of=("self",)))
        if kept.brand_id not in (None, brand_id):
            raise Conflict(_("这个企业已经属于一个品牌。"), code=ELSEWHERE)
        found(Brand.objects.filter(pk=brand_id))
        kept.brand_id = brand_id
        kept.save(update_fields=["brand"])
    return _installed(kept, actor=actor, at=at)


def change(*, suite: Suite, corpid: str, at: datetime) -> Outcome | None:
    """The corp changed what the app may see or do: read it anew. None for an unknown one. Raises WeCom's errors."""
    kept = Authorisation.objects.filter(suite=suite, corpid=corpid).first()
    if kept is None:
        return None
    code = kept.permanent_code or _secret_in_use(kept)
    app = SuiteCalls(suite).auth_info(corpid=corpid, permanent_code=code)
    Authorisation.objects.filter(pk=kept.pk).update(
        corp_name=app.corp_name[:100], agent_name=app.agent_name[:100], privilege=app.privilege
    )
    if kept.brand_id and kept.corp_id:
        with brand_scope(kept.brand_id):
            CorpApp.objects.filter(corp=kept.corp_id, kind=AppKind.CONTACT).update(
                agent_id=app.agent_id or kept.agent_id, name=app.agent_name[:100]
            )
    return Outcome(kept.pk, kept.brand_id, kept.corp_id)


def cancel(*, suite: Suite, corpid: str, said_at: datetime, at: datetime) -> Outcome | None:
    """The corp took its authorisation back: secrets and tokens are dropped, work stops, and the corp says so.

    None for one we do not know, or that was granted anew after this was said; where clocks leave that open, WeCom is
    asked. Raises its errors then."""
    kept = Authorisation.objects.filter(suite=suite, corpid=corpid).first()
    if kept is None or kept.authorised_at > said_at + CLOCKS_APART:
        return None
    if kept.authorised_at > said_at and kept.status == Authorisation.Status.ACTIVE:
        code = kept.permanent_code or _secret_in_use(kept)
        if code and still_granted(suite=suite, corpid=corpid, permanent_code=code, at=at):
            return None
    return _cancelled(kept.pk, at)


def _cancelled(authorisation_id: int, at: datetime) -> Outcome:
    with transaction.atomic():
        kept = Authorisation.objects.select_for_update(of=("self",)).get(pk=authorisation_id)
        kept.status, kept.cancelled_at, kept.permanent_code = Authorisation.Status.CANCELLED, at, ""
        kept.save(update_fields=["status", "cancelled_at", "permanent_code"])
    _stop(kept, at)
    logger.info("wecom.provider.cancelled", extra={"suite": kept.suite_id, "authorisation": kept.pk})
    return Outcome(kept.pk, kept.brand_id, kept.corp_id)


def link_of(*, brand_id: int, state: str) -> AuthorisationLink:
    """One of the brand's own links. Raises NotFound for another's."""
    return found(AuthorisationLink.objects.select_related("suite").filter(brand=brand_id, state=state))


def release(*, suite_id: int, corpid: str, permanent_code: str) -> None:
    """The brand has let the corp go, WeCom knows nothing of it: it waits for a brand again, its code with it."""
    Authorisation.objects.filter(suite=suite_id, corpid=corpid, status=Authorisation.Status.ACTIVE).update(
        brand=None, corp_id=None, permanent_code=permanent_code
    )


def still_granted(*, suite: Suite, corpid: str, permanent_code: str, at: datetime) -> bool:
    """Ask WeCom whether a corp still authorises us; if not, do as its cancellation would. Raises WeCom's errors."""
    try:
        SuiteCalls(suite).auth_info(corpid=corpid, permanent_code=permanent_code)
    except Misconfigured as refusal:
        if refusal.problem_code != GONE:
            raise
        kept = Authorisation.objects.filter(suite=suite, corpid=corpid).first()
        if kept is not None:
            _cancelled(kept.pk, at)
        return False
    return True


# -- inside -----------------------------------------------------------------------------------------------------------


def _kept(suite: Suite, app: AuthorisedApp, said_at: datetime) -> tuple[Authorisation, bool]:
    """(the authorisation's row with what was granted now, locked, not yet saved; whether a brand held it before)."""
    rows = Authorisation.objects.filter(suite=suite, corpid=app.corpid)
    kept = rows.select_for_update(of=("self",)).first() or Authorisation(suite=suite, corpid=app.corpid)
    held = kept.brand_id is not None and kept.status == Authorisation.Status.ACTIVE
    kept.corp_name, kept.agent_id, kept.agent_name = app.corp_name[:100], app.agent_id, app.agent_name[:100]
    kept.permanent_code, kept.privilege = app.permanent_code, app.privilege
    kept.status, kept.cancelled_at = Authorisation.Status.ACTIVE, None
    kept.authorised_at = said_at.replace(microsecond=0)  # WeCom tells whole seconds
    return kept, held


def _installed(kept: Authorisation, *, actor: Actor, at: datetime) -> Outcome:
    """Put a waiting permanent code into the brand's corp, which is made if need be, and forget it here."""
    if kept.brand_id is None or not kept.permanent_code:
        return Outcome(kept.pk, kept.brand_id, kept.corp_id)
    with brand_scope(kept.brand_id):
        corp, new = Corp.objects.get_or_create(
            corpid=kept.corpid, defaults={"name": kept.corp_name, "quota_mode": QuotaMode.MONTH_DAYS}
        )
        corp.suite_id, corp.connected_at = kept.suite_id, at
        corp.callback_token = corp.callback_token or callback_keys.new_token()
        corp.callback_aes_key = corp.callback_aes_key or callback_keys.new_aes_key()
        corp.trouble_code = corp.trouble_detail = ""
        corp.trouble_at = None
        corp.save()
        # One app speaks for 客户联系: a corp that authorised anew may have got another AgentId.
        CorpApp.objects.filter(corp=corp, kind=AppKind.CONTACT).exclude(agent_id=kept.agent_id).delete()
        CorpApp.objects.update_or_create(
            corp=corp,
            agent_id=kept.agent_id,
            defaults={"kind": AppKind.CONTACT, "secret": kept.permanent_code, "name": kept.agent_name},
        )
        CallbackEndpoint.objects.get_or_create(brand_id=kept.brand_id, corp_id=corp.pk)
        Authorisation.objects.filter(pk=kept.pk).update(permanent_code="", corp_id=corp.pk)
        after = {"corpid": kept.corpid, "agent_id": kept.agent_id, "suite": kept.suite_id, "new": new}
        audit.record(actor=actor, action="corp.authorised", object_type="corp", object_id=corp.pk, after=after, at=at)
        corp_id = corp.pk
    # A refusal of the old secret, or of an app that was not there yet, must not be remembered for the new one.
    WeComClient(corpid=kept.corpid, secret=kept.permanent_code).transport.tokens.forget_refusal()
    return Outcome(kept.pk, kept.brand_id, corp_id)


def _stop(kept: Authorisation, at: datetime) -> None:
    if kept.brand_id is None or kept.corp_id is None:
        return
    with brand_scope(kept.brand_id):
        corp = Corp.objects.filter(pk=kept.corp_id, suite=kept.suite_id)
        if not corp.update(connected_at=None, trouble_code=CANCELLED, trouble_detail="cancel_auth", trouble_at=at):
            return
        apps = CorpApp.objects.filter(corp=kept.corp_id).exclude(secret="")
        secrets_in_use = [app.secret for app in apps]
        apps.update(secret="")
        audit.record(
            actor=SYSTEM,
            action="corp.authorisation_cancelled",
            object_type="corp",
            object_id=kept.corp_id,
            after={"corpid": kept.corpid},
            at=at,
        )
    for secret in secrets_in_use:
        WeComClient(corpid=kept.corpid, secret=secret).transport.tokens.forget()


def _secret_in_use(kept: Authorisation) -> str:
    if not (kept.brand_id and kept.corp_id):
        return ""
    with brand_scope(kept.brand_id):
        app = CorpApp.objects.filter(corp=kept.corp_id, kind=AppKind.CONTACT).order_by("id").first()
        return app.secret if app else ""


def _actor_of(link: AuthorisationLink | None) -> Actor:
    return Actor(link.made_by, link.made_by_label) if link else SYSTEM


def problem_text(code: str) -> tuple[str, str]:
    """(what is wrong, what to do) for a link's problem, in the reader's language."""
    policy = policy_named(code)
    return str(policy.detail), str(REAUTHORISE if code == SPENT else policy.remedy)

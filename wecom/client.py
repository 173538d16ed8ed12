"""The client of WeCom's API: typed calls of one app of one corp.

    wecom = client_for(brand_id=7, corp_id=3)
    for page in …: wecom.contacts_of(userids=["bob"], cursor=…)

All HTTP to WeCom lives in this app. Calls raise wecom.errors and must be made outside any scope: the network is slow,
and a transaction that waits for it holds up every brand's reactors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.utils import timezone

from scrm.lib.errors import found
from tenants.scope import brand_scope
from wecom import errors, troubles
from wecom.calls.acquisition import AcquisitionCalls
from wecom.calls.contact_ways import ContactWayCalls
from wecom.calls.customers import CustomerCalls
from wecom.calls.directory import DirectoryCalls
from wecom.calls.group_codes import GroupCodeCalls
from wecom.calls.groups import GroupCalls
from wecom.calls.identity import IdentityCalls
from wecom.calls.messages import MessageCalls
from wecom.calls.moments import MomentCalls
from wecom.calls.sends import SendCalls
from wecom.calls.signin import SignInCalls
from wecom.calls.statistics import StatisticCalls
from wecom.calls.strategies import StrategyCalls
from wecom.calls.transfers import TransferCalls
from wecom.models import Corp, CorpApp
from wecom.policy import policy_named
from wecom.transport import Transport

CONTACT = "contact"
"""the kind of app that may call 客户联系"""


class WeComClient(
    DirectoryCalls,
    CustomerCalls,
    IdentityCalls,
    ContactWayCalls,
    AcquisitionCalls,
    GroupCalls,
    GroupCodeCalls,
    SendCalls,
    MomentCalls,
    MessageCalls,
    TransferCalls,
    StatisticCalls,
    StrategyCalls,
    SignInCalls,
):
    """All calls. Cheap to make; safe to share between threads."""

    def __init__(self, *, corpid: str, secret: str, agent_id: int = 0, **options: Any) -> None:
        super().__init__(Transport(corpid=corpid, secret=secret, **options))
        self.corpid = corpid
        self.agent_id = agent_id


def client_for(*, brand_id: int, corp_id: int, kind: str = CONTACT) -> WeComClient:
    """The client of a corp's app. Opens its own scope to read the secret. Raises NotFound for an unknown corp or app,
    Misconfigured for one that is no longer connected.

    A call that fails for the corp's set-up is noted on the corp, where the console shows it; when the same call works
    again the note goes."""
    with brand_scope(brand_id):
        corp = found(Corp.objects.filter(pk=corp_id))
        app = found(CorpApp.objects.filter(corp=corp_id, kind=kind).order_by("id"))
    if not app.secret:  # disconnected here, or its authorisation was cancelled in WeCom: nothing is asked
        ended = policy_named(corp.trouble_code or "wecom.disconnected")
        raise errors.Misconfigured(ended.detail, remedy=ended.remedy, code=ended.code)

    def note(error: errors.Misconfigured) -> None:
        with _passing_connection():
            troubles.note(brand_id=brand_id, corp_id=corp_id, error=error, at=timezone.now())

    def mended(api: str) -> None:
        if troubles.ends_with(corp, api=api):
            with _passing_connection():
                troubles.clear(corp)
            corp.trouble_code = ""

    return WeComClient(
        corpid=corp.corpid,
        secret=app.secret,
        agent_id=app.agent_id,
        on_trouble=note,
        on_success=mended if corp.trouble_code else None,
        provider=corp.suite_id is not None,
    )


@contextmanager
def _passing_connection() -> Iterator[None]:
    """Leave a thread as it was found: one that only calls WeCom has no connection to the database, and nobody who would
    close it."""
    had_one = connection.connection is not None
    try:
        yield
    finally:
        if not had_one:
            connection.close()

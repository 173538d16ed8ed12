"""The suites of the installation: put in by its operator, kept alive by WeCom's ticket every ten minutes."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from scrm.lib.errors import Invalid, found
from wecom import callback_keys
from wecom.models import Suite
from wecom.provider.calls import SuiteTransport

SUITE_PATH = "callbacks/wecom/suites/"
CLOCKS_APART = timedelta(minutes=10)


def put(
    *,
    suite_id: str,
    name: str,
    secret: str,
    token: str = "",
    aes_key: str = "",
    provider_corpid: str = "",
    provider_secret: str = "",
    trial: bool = False,
) -> Suite:
    """Enter a suite, or replace what is known of it; its address stays, and so do keys that are not given.

    Keys that were never given are made. Raises Invalid."""
    wrong = callback_keys.wrong_in(token=token, aes_key=aes_key)
    if wrong:
        raise Invalid(str(wrong[0].message), errors=wrong)
    suite = Suite.objects.filter(suite_id=suite_id).first() or Suite(suite_id=suite_id)
    suite.name, suite.secret, suite.trial = name, secret, trial
    suite.token = token or suite.token or callback_keys.new_token()
    suite.aes_key = aes_key or suite.aes_key or callback_keys.new_aes_key()
    suite.provider_corpid, suite.provider_secret = provider_corpid, provider_secret
    suite.save()
    return suite


def behind(endpoint_id: UUID) -> Suite:
    """The suite of a command address. Raises NotFound."""
    return found(Suite.objects.filter(endpoint_id=endpoint_id))


def offered() -> list[Suite]:
    """All suites, oldest first: what a brand may choose from."""
    return list(Suite.objects.order_by("pk"))


def keep_ticket(*, suite: Suite, ticket: str, said_at: datetime, at: datetime) -> bool:
    """Keep WeCom's latest ticket; False for one that is not newer than what is kept, as a replay is."""
    # One said to be of tomorrow would otherwise keep out all of today's.
    newer = Q(ticket_at=None) | Q(ticket_at__lt=said_at) | Q(ticket_at__gt=at + CLOCKS_APART)
    kept = bool(Suite.objects.filter(newer, pk=suite.pk).update(ticket=ticket, ticket_at=said_at))
    if kept:
        suite.ticket, suite.ticket_at = ticket, said_at
        # Who was told a moment ago that there is no ticket need not wait out the minute.
        SuiteTransport(suite).tokens.forget_refusal()
    return kept


def command_url(suite: Suite) -> str:
    """The address for commands (指令回调) and data of the suite, as WeCom must call it."""
    return f"{settings.PUBLIC_URL.rstrip('/')}/{SUITE_PATH}{suite.endpoint_id}/"


def redirect_url(suite: Suite) -> str:
    """Where the administrator's browser comes back to with the auth_code."""
    return f"{command_url(suite)}authorised/"

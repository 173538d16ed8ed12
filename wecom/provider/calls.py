"""What a provider asks WeCom (reference §5.1): by the token of its suite, or by that of the provider itself."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from wecom.calls.base import Calls, Json
from wecom.models import Suite
from wecom.policy import error_of
from wecom.transport import Transport

TICKET_LIVES = timedelta(minutes=30)
TICKET_MISSING = 41023
"""WeCom's code for a missing suite_ticket: ours too when none that is still good was heard"""


@dataclass(frozen=True, slots=True)
class AuthorisedApp:
    """The app that a corp has by its authorisation. `permanent_code` is empty where WeCom does not repeat it."""

    corpid: str
    corp_name: str
    agent_id: int
    agent_name: str
    permanent_code: str = ""
    privilege: dict[str, Any] = field(default_factory=dict)


class SuiteTransport(Transport):
    """Speaks as a suite. Its token is shared by all processes and fetched by one of them, as an app's is."""

    TOKEN_PARAMETER = "suite_access_token"  # noqa: S105  (a parameter's name)

    def __init__(self, suite: Suite) -> None:
        super().__init__(corpid=suite.suite_id, secret=suite.secret, provider=True)
        self._suite = suite

    def fetch_access_token(self) -> tuple[str, int]:
        """get_suite_token with the latest ticket. Raises Misconfigured when no good one was heard."""
        if not has_ticket(self._suite):
            raise error_of(TICKET_MISSING, api="service/get_suite_token")
        body = {
            "suite_id": self._suite.suite_id,
            "suite_secret": self._suite.secret,
            "suite_ticket": self._suite.ticket,
        }
        return self._asked("service/get_suite_token", body, "suite_access_token")


class ProviderTransport(Transport):
    """Speaks as the provider itself."""

    TOKEN_PARAMETER = "provider_access_token"  # noqa: S105  (a parameter's name)

    def __init__(self, suite: Suite) -> None:
        super().__init__(corpid=suite.provider_corpid, secret=suite.provider_secret, provider=True)

    def fetch_access_token(self) -> tuple[str, int]:
        """get_provider_token; its success has no errcode."""
        body = {"corpid": self.corp_id, "provider_secret": self.secret}
        return self._asked("service/get_provider_token", body, "provider_access_token")


class SuiteCalls(Calls):
    """The calls of a suite. A code is good once, so that repeating a call that took one can do no harm."""

    def __init__(self, suite: Suite) -> None:
        super().__init__(SuiteTransport(suite))

    def pre_auth_code(self) -> tuple[str, int]:
        """(code for one install link, seconds it is good for). Official 97104 family, §5.1 step 3."""
        answer = self._get("service/get_pre_auth_code")
        return str(answer["pre_auth_code"]), int(answer.get("expires_in") or 1200)

    def set_session(self, *, pre_auth_code: str, trial: bool) -> None:
        """Say of a pre-auth code whether the suite is still being tested (auth_type 1)."""
        session = {"auth_type": 1 if trial else 0}
        self._post("service/set_session_info", {"pre_auth_code": pre_auth_code, "session_info": session})

    def exchange(self, *, auth_code: str) -> AuthorisedApp:
        """The corp and its permanent code for an auth_code, good once. Raises Rejected (40078) for a used one."""
        answer = self._post("service/v2/get_permanent_code", {"auth_code": auth_code})
        return _authorised(answer, permanent_code=str(answer.get("permanent_code") or ""))

    def auth_info(self, *, corpid: str, permanent_code: str) -> AuthorisedApp:
        """What a corp grants now. Raises Misconfigured (40084, 48004) when it has taken the authorisation back."""
        answer = self._post("service/get_auth_info", {"auth_corpid": corpid, "permanent_code": permanent_code})
        return _authorised(answer, permanent_code=permanent_code)


class ProviderCalls(Calls):
    """The calls of the provider."""

    def __init__(self, suite: Suite) -> None:
        super().__init__(ProviderTransport(suite))

    def template_link(self, *, suite_id: str, state: str) -> tuple[str, int]:
        """(address of the QR code for a 代开发 template, seconds it is good for)."""
        answer = self._post("service/get_customized_auth_url", {"state": state, "templateid_list": [suite_id]})
        return str(answer["qrcode_url"]), int(answer.get("expires_in") or 0)


def has_ticket(suite: Suite) -> bool:
    """Whether a suite_ticket was heard that WeCom still takes."""
    return bool(suite.ticket and suite.ticket_at and timezone.now() - suite.ticket_at < TICKET_LIVES)


def _authorised(answer: Json, *, permanent_code: str) -> AuthorisedApp:
    corp = answer.get("auth_corp_info") or {}
    agents = (answer.get("auth_info") or {}).get("agent") or [{}]
    corpid = str(corp.get("corpid") or "")
    return AuthorisedApp(
        corpid=corpid,
        corp_name=str(corp.get("corp_name") or corp.get("corp_full_name") or corpid),
        agent_id=int(agents[0].get("agentid") or 0),
        agent_name=str(agents[0].get("name") or ""),
        permanent_code=permanent_code,
        privilege=agents[0].get("privilege") or {},
    )

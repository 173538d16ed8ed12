"""What can come of a call to WeCom, in the words of those who made it: nobody else branches on an errcode.

WeComError
├── Unreachable         nothing left our side: offering it again is safe
│   └── Busy            WeCom was reached but gave no good answer; the call is one that may be repeated
├── OutcomeUnknown      a call that must not be repeated ended without an answer: ask WeCom what became of it
├── Throttled           a limit, ours or WeCom's: nothing was done, come back after `retry_after` seconds
├── StillDispatching    the task is too young to be asked about
├── Misconfigured       this corp's set-up is at fault: stop its jobs and tell the operator
└── Rejected            WeCom refuses this very request; nothing was done
    └── Gone            … because the object or the friendship it is about is no more, or not in that state
"""

from typing import ClassVar

from scrm.lib.errors import DomainError, Refused, Text


class WeComError(DomainError):
    """A call to WeCom that brought no result. `errcode` is WeCom's number, None when there was no answer."""

    code: ClassVar[str] = "wecom.error"

    def __init__(
        self,
        detail: Text = "",
        *,
        remedy: Text = "",
        code: str | None = None,
        errcode: int | None = None,
        api: str = "",
    ) -> None:
        super().__init__(detail, remedy=remedy, code=code)
        self.errcode = errcode
        self.api = api
        self.from_ip = ""
        """the caller's address as WeCom's answer names it, for people who must register it; empty when it did not"""

    def __str__(self) -> str:
        return f"{self.problem_code} api={self.api or '-'} errcode={self.errcode}"


class Unreachable(WeComError):
    """Nothing left our side (no connection, no token): offering the same call again is safe."""

    code = "wecom.unreachable"


class Busy(Unreachable):
    """WeCom gave no good answer (timeout, 5xx, -1, a cut one) to a call that may be repeated, after our own retries."""

    code = "wecom.busy"


class OutcomeUnknown(WeComError):
    """A call that creates or sends something ended in a timeout, a reset, 5xx or -1. It may have happened: never repeat
    it blindly, ask WeCom what there is."""

    code = "wecom.outcome_unknown"


class Throttled(WeComError):
    """A limit is reached, WeCom's or our own below it. Nothing was done."""

    code = "wecom.throttled"

    def __init__(
        self,
        detail: Text = "",
        *,
        retry_after: float,
        remedy: Text = "",
        code: str | None = None,
        errcode: int | None = None,
        api: str = "",
    ) -> None:
        super().__init__(detail, remedy=remedy, code=code, errcode=errcode, api=api)
        self.retry_after = retry_after
        """seconds until it is worth another try"""


class StillDispatching(WeComError):
    """WeCom is still handing the task out (41063, 41079): ask again in seconds to minutes."""

    code = "wecom.still_dispatching"


class Misconfigured(WeComError):
    """The corp's credentials, permissions or visible range are at fault; an operator must mend it."""

    code = "wecom.misconfigured"


class Rejected(WeComError):
    """WeCom refuses the request as it is; nothing was done, and repeating it is of no use."""

    code = "wecom.rejected"


class Gone(Rejected):
    """The object is gone or not in a state for this: no such friendship, task cancelled, welcome too late.

    Record the item as failed, or read the object again."""

    code = "wecom.gone"


class BadCallback(Refused):
    """A callback that is not WeCom's, or is damaged: wrong signature, wrong receiver, cut body. Nothing is stored."""

    code = "wecom.bad_callback"

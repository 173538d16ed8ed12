"""One call to WeCom: token, limit, request, answer, and what to do when there is none or a bad one.

wechatpy's enterprise client builds the request and reads the answer; token, retries, limits and the meaning of error
codes are ours. A call says whether it may be repeated. One that may not (it creates or sends something) is never
repeated after -1, 5xx, a reset or a timeout: that is OutcomeUnknown. A connection that could not be opened at all is
Unreachable for every call, and a refusal that WeCom gives before any effect (token, concurrency) is repeated for every
call."""

import json
import logging
import os
import random
import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit

import redis
import requests
import urllib3.exceptions
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from requests.adapters import HTTPAdapter
from wechatpy.enterprise import WeChatClient
from wechatpy.exceptions import WeChatClientException

from wecom import errors, limits, parallel
from wecom.policy import TOKEN as TOKEN_REFUSED
from wecom.policy import Act, error_of, policy_of
from wecom.tokens import Tokens

logger = logging.getLogger("wecom")

ATTEMPTS = 3
BACKOFF_SECONDS = 0.3
CONNECT_SECONDS = 5
UPLOAD_SECONDS = 60
PLACE_SECONDS = CONNECT_SECONDS + 10
"""A place is lost so long after a call's time-out at the latest: an upload that takes longer only makes room early."""
NO_SUCH_PATH = 404
ASK_FOR_TOKENS = frozenset({"gettoken", "service/get_suite_token", "service/get_provider_token"})
"""calls that bring no token of the family they ask for: WeCom cannot mean it when it calls that one bad or expired"""

_FROM_IP = re.compile(r"from ip: ([0-9A-Fa-f.:]+)")

Trouble = Callable[[errors.Misconfigured], None]
Success = Callable[[str], None]


class Transport(WeChatClient):
    """Speaks to WeCom as one app of one corp. Thread-safe; cheap to make."""

    TOKEN_PARAMETER = "access_token"  # noqa: S105  (a parameter's name)
    """by which the token is sent; providers have other token families (reference §2.1)"""

    def __init__(
        self,
        *,
        corpid: str,
        secret: str,
        api_base: str = "",
        on_trouble: Trouble | None = None,
        on_success: Success | None = None,
        provider: bool = False,
    ) -> None:
        super().__init__(corpid, secret, timeout=settings.WECOM_TIMEOUT_SECONDS, auto_retry=False)
        base = api_base or settings.WECOM_API_BASE
        self.API_BASE_URL = base if base.endswith("/") else base + "/"
        self.tokens = Tokens(api_base=self.API_BASE_URL, corpid=corpid, secret=secret)
        self._http = _session(os.getpid(), self._host, once=False)
        self._scope = f"{self.API_BASE_URL}{corpid}"
        self._on_trouble = on_trouble
        self._on_success = on_success
        self._is_provider = provider

    def call(
        self,
        verb: str,
        api: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        file: tuple[str, bytes] | None = None,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        """The answer of `api` (a path below cgi-bin). Raises the errors of wecom.errors, nothing else."""
        try:
            answer = self._with_token(verb, api, params or {}, body, file, repeatable)
        except redis.RedisError as error:
            raise errors.Unreachable(_("Redis 暂时不可用。"), code="wecom.no_store", api=api) from error
        except errors.Misconfigured as trouble:
            logger.warning(
                "wecom.misconfigured", extra={"corpid": self.corp_id, "api": api, "errcode": trouble.errcode}
            )
            if self._on_trouble:
                self._on_trouble(trouble)
            raise
        if self._on_success:
            self._on_success(api)
        return answer

    def call_without_token(self, verb: str, api: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of a repeatable call that names app and secret itself. Raises the errors of wecom.errors."""
        return self._repeated(api, True, lambda: self._send(verb, api, query))

    @property
    def access_token(self) -> str:
        """The shared token, also for wechatpy's own groups of calls."""
        return self.tokens.get(self.fetch_access_token)

    def fetch_access_token(self) -> tuple[str, int]:
        """Ask WeCom for a token (uncached): (token, seconds). Official 91039."""
        query = {"corpid": self.corp_id, "corpsecret": self.secret}
        answer = self._repeated("gettoken", True, lambda: self._send("get", "gettoken", query))
        return _token_in(answer, "access_token", "gettoken")

    def _asked(self, api: str, body: Mapping[str, Any], field: str) -> tuple[str, int]:
        """A token of another family, by its own call: (token, seconds)."""
        answer = self._repeated(api, True, lambda: self._send("post", api, {}, body))
        return _token_in(answer, field, api)

    def _with_token(
        self,
        verb: str,
        api: str,
        params: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        file: tuple[str, bytes] | None,
        repeatable: bool,
    ) -> dict[str, Any]:
        for again in (True, False):
            token = self.access_token
            send = partial(self._send, verb, api, {**params, self.TOKEN_PARAMETER: token}, body, file, repeatable)
            try:
                return self._repeated(api, repeatable, send)
            except errors.Misconfigured as refusal:
                if refusal.problem_code != TOKEN_REFUSED.code:
                    raise
                self.tokens.drop(token)
                logger.info("wecom.token.renewed", extra={"corpid": self.corp_id, "api": api})
                if not again:
                    raise
        raise AssertionError("unreachable")

    def _repeated(self, api: str, repeatable: bool, send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Send up to three times as far as that is safe; raise what it ends in. Every time takes its turn."""
        for attempt in range(1, ATTEMPTS + 1):
            needs_place = limits.take(scope=self._scope, api=api, provider=self._is_provider)
            began = time.monotonic()
            try:
                if not needs_place:
                    return send()
                with parallel.place(scope=self._scope, api=api, lease=self.timeout + PLACE_SECONDS):
                    began = time.monotonic()
                    return send()
            except WeChatClientException as refusal:
                error, safe = self._judged(refusal, api, repeatable)
                if error.errcode == parallel.REFUSED:
                    parallel.narrow(scope=self._scope, api=api, flown=time.monotonic() - began)
            except requests.RequestException as failure:
                error, safe = _failed(failure, api, repeatable)
            if not safe or attempt == ATTEMPTS:
                raise error
            time.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
        raise AssertionError("unreachable")

    def _judged(self, refusal: WeChatClientException, api: str, repeatable: bool) -> tuple[errors.WeComError, bool]:
        """(what an answer that is not a success means, whether sending again is safe and of use)."""
        errcode = int(refusal.errcode)
        act = policy_of(errcode).act
        if act is Act.TOKEN and api in ASK_FOR_TOKENS:
            return no_answer(api, repeatable, errcode=errcode), repeatable
        if act is Act.BUSY and not repeatable:
            return no_answer(api, repeatable, errcode=errcode), False
        if act is Act.WAIT and errcode == limits.FREQUENCY_LIMIT:
            limits.block(scope=self._scope, api=api)
        # errmsg carries no more than the code does, but WeCom's support asks for its hint.
        logger.info("wecom.refused", extra={"api": api, "errcode": errcode, "errmsg": str(refusal.errmsg)[:300]})
        error = error_of(errcode, api=api)
        named = _FROM_IP.search(str(refusal.errmsg))
        error.from_ip = named[1] if named else ""
        return error, act in (Act.BUSY, Act.AGAIN)

    def _send(
        self,
        verb: str,
        api: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None = None,
        file: tuple[str, bytes] | None = None,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        """One request; a file that is its answer stands under "file".

        Raises WeChatClientException or requests.RequestException."""
        # WeCom redirects nobody: who does would get the token, and a POST as a GET.
        options: dict[str, Any] = {"timeout": (CONNECT_SECONDS, self.timeout), "allow_redirects": False}
        if body is not None:
            # Raw UTF-8: some calls refuse \\u escapes (40033).
            options["data"] = json.dumps(body, ensure_ascii=False).encode()
        if file is not None:
            options["files"] = {"media": file}
            options["timeout"] = (CONNECT_SECONDS, UPLOAD_SECONDS)
        session = self._http if repeatable else _session(os.getpid(), self._host, once=True)
        response = session.request(verb, self.API_BASE_URL + api, params=dict(query), **options)
        response.raise_for_status()
        if "attachment" in response.headers.get("Content-Disposition", ""):
            return {"file": response}
        try:
            answer = self._handle_result(response)
        except (TypeError, ValueError) as damage:  # an errcode that is no number
            raise requests.exceptions.ContentDecodingError("the answer's errcode is no number") from damage
        if not isinstance(answer, dict):
            raise requests.exceptions.ContentDecodingError("the answer is not a JSON object")
        return answer

    @property
    def _host(self) -> str:
        return urlsplit(self.API_BASE_URL).hostname or ""


def _token_in(answer: Mapping[str, Any], field: str, api: str) -> tuple[str, int]:
    """(token, seconds) of an answer. Raises Busy when there is none."""
    if not answer.get(field):
        raise no_answer(api, True)
    return str(answer[field]), int(answer.get("expires_in") or 7200)


def _failed(failure: requests.RequestException, api: str, repeatable: bool) -> tuple[errors.WeComError, bool]:
    """(what a request without an answer means, whether sending again is safe and of use)."""
    # WeCom itself answers 200, or 404 to a path it does not have (reference §1). Any other 4xx comes from something in
    # between, and says nothing about what was asked for.
    if failure.response is not None and failure.response.status_code == NO_SUCH_PATH:
        return errors.Rejected(_("企业微信没有这个接口，或地址不对。"), code="wecom.no_such_api", api=api), False
    if _never_connected(failure):
        return errors.Unreachable(
            _("连接不上企业微信。"), remedy=_("请系统管理员检查服务器的网络和域名解析。"), api=api
        ), True
    return no_answer(api, repeatable), repeatable


def no_answer(api: str, repeatable: bool, errcode: int | None = None) -> errors.WeComError:
    """What a call without an answer that can be understood ends in."""
    if repeatable:
        detail = _("企业微信没有正常应答。")
        return errors.Busy(detail, remedy=_("不用处理，系统稍后自动重试。"), errcode=errcode, api=api)
    return errors.OutcomeUnknown(
        _("请求已发出，但没有得到企业微信的应答，不知道是否成功。"),
        remedy=_("系统会向企业微信核对，不会直接重发。"),
        errcode=errcode,
        api=api,
    )


def _never_connected(failure: requests.RequestException) -> bool:
    """Whether no connection was opened, so that nothing can have reached WeCom."""
    if isinstance(failure, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    if isinstance(failure, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema):
        return True
    reason = getattr(failure.args[0], "reason", None) if failure.args else None
    if isinstance(
        reason, urllib3.exceptions.SSLError
    ):  # in mid-answer too; only a refused certificate is surely before
        return "certificate verify failed" in str(reason).lower()
    return isinstance(reason, urllib3.exceptions.ConnectTimeoutError)  # NewConnectionError is one


@lru_cache(maxsize=8)
def _session(_pid: int, host: str, *, once: bool) -> requests.Session:
    """The connections of this process to WeCom. Keyed by process: a forked worker must not share a socket.

    `once`: every call opens its own connection. A kept one may be closed by WeCom in the moment we write, and of a call
    that must not be repeated nobody could say then whether it arrived."""
    session = requests.Session()
    if once:
        session.headers["Connection"] = "close"
    session.mount("http://", HTTPAdapter(pool_connections=4, pool_maxsize=32))
    session.mount("https://", HTTPAdapter(pool_connections=4, pool_maxsize=32))
    # Brands behind a fixed outgoing address set HTTPS_PROXY; a simulator on this machine is never behind a proxy.
    session.trust_env = host not in ("127.0.0.1", "localhost", "::1")
    return session

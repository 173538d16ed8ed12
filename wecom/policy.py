"""One table: what each of WeCom's error codes means for us (reference §22, after the official list 90313).

Codes that the reference calls "C or D", and those of class C that are about one member (50002, 84074, 92000, 40098,
41054), one tag (81011) or one object of another app (41058, 41098), are treated as the state of that object: one guide
without the right must not stop the whole corp's work.
A code that is not in the table is `REFUSED`: the request failed, repeating it blindly is of no use."""

from dataclasses import dataclass
from enum import Enum, auto

from django.utils.translation import gettext_lazy as _

from scrm.lib.errors import Text
from wecom import errors


class Act(Enum):
    """What the client does about a code."""

    BUSY = auto()  # WeCom failed inside: repeat what may be repeated, else the outcome is unknown
    AGAIN = auto()  # refused before any effect for a moment's reason: wait a little and repeat, whatever the call
    TOKEN = auto()  # drop the token, fetch once, repeat once
    WAIT = auto()  # a limit window
    EARLY = auto()  # the task is still being dispatched
    CONFIG = auto()  # the corp's set-up
    REFUSED = auto()  # the request
    STATE = auto()  # the object


@dataclass(frozen=True, slots=True)
class Policy:
    """How one error code is treated, and how we say it."""

    act: Act
    code: str
    detail: Text
    remedy: Text = ""
    wait: float = 0.0
    """seconds until WAIT and AGAIN are worth another try"""


SYNC = _("重新同步后再试。")
ADMIN = _("在企业微信管理后台检查后，到 设置 › 企微接入 重新检测。")
LICENCE = _("在服务商后台为员工购买并激活接口许可。")
CALLABLE = _("在企业微信管理后台 › 客户联系 › 客户 › API，把本应用加入“可调用接口的应用”，再重新检测。")
SCOPE = _("在企业微信管理后台把员工加入本应用的可见范围，并在“客户联系 › 权限配置”里为他开通，再重新检测。")
SECRET = _("在企业微信管理后台 › 应用管理 打开本应用，重新查看 Secret 并填入；确认应用没有停用。")
SHORTEN = _("按提示修改内容后再保存。")
LATER = _("不用处理，系统稍后自动重试。")


def _config(code: str, detail: Text, remedy: Text = ADMIN) -> Policy:
    return Policy(Act.CONFIG, f"wecom.{code}", detail, remedy)


def _refused(code: str, detail: Text, remedy: Text = "") -> Policy:
    return Policy(Act.REFUSED, f"wecom.{code}", detail, remedy)


def _state(code: str, detail: Text, remedy: Text = "") -> Policy:
    return Policy(Act.STATE, f"wecom.{code}", detail, remedy)


def _wait(code: str, detail: Text, seconds: float, act: Act = Act.WAIT) -> Policy:
    return Policy(act, f"wecom.{code}", detail, LATER, seconds)


TOKEN = Policy(Act.TOKEN, "wecom.token_refused", _("企业微信不认刚取得的 access_token。"), ADMIN)
UNNAMED = _refused("rejected", _("企业微信拒绝了这个请求。"))

_BAD_SECRET = _config("bad_secret", _("Secret 不正确，或应用已停用、Secret 已重置。"), SECRET)
_DISABLED = _config(
    "app_disabled", _("应用已停用。"), _("在企业微信管理后台 › 应用管理 打开本应用并启用，再重新检测。")
)
_NOT_ALLOWED = _config("permission_withdrawn", _("应用没有调用这个接口的权限。"), CALLABLE)
_OUT_OF_SCOPE = _state("out_of_scope", _("员工不在应用的可见范围内。"), SCOPE)
_NO_MEMBER = _state("no_member", _("企业微信里没有这个员工。"), SYNC)
_NO_RELATION = _state("no_relation", _("客户与员工已不是好友。"), SYNC)
_BAD_PARAMETER = _refused("bad_parameter", _("请求里有企业微信不接受的内容。"), SHORTEN)
_MISSING = _refused("missing_parameter", _("请求里缺少企业微信要求的内容。"))
_CONTENT = _refused("content_invalid", _("内容不符合企业微信的要求。"), SHORTEN)
_MEDIA = _refused("media_invalid", _("素材的格式、大小或尺寸不符合企业微信的要求。"), _("换一个文件后重新上传。"))
_TAG = _state("tag_gone", _("企业微信里没有这个标签。"), SYNC)
_TRANSFER = _state("transferring", _("客户或群正在继承中。"))
REAUTHORISE = _("在 设置 › 企微接入 重新生成授权链接，请企业的管理员扫码授权。")
_PROVIDER = _config("provider_authorisation", _("服务商授权已失效。"), REAUTHORISE)
_SUITE = _config("suite_misconfigured", _("服务商应用的凭证不对。"), _("请系统管理员核对服务商应用的 ID 与 Secret。"))
_TICKET = _config(
    "suite_ticket",
    _("服务商应用还没有收到有效的 suite_ticket。"),
    _("请系统管理员核对服务商后台的指令回调 URL；企业微信每 10 分钟推送一次。"),
)
_LICENCE = _config("no_licence", _("员工没有可用的接口许可。"), LICENCE)
NO_LICENCE = _LICENCE.code
"""about some members of a corp whose others may have one"""
_CODES = _refused("code_expired", _("授权码已用过或过期。"), _("重新打开页面。"))
_DISCONNECTED = _config("miniprogram_unbound", _("小程序或开放平台账号与企业的绑定不对。"), ADMIN)
_CAP = _config("cap_reached", _("数量已到企业微信的上限。"), _("删除不用的，或向企业微信申请更多。"))
_FREQUENT = _wait("throttled", _("调用太频繁，企业微信暂时限制了这个接口。"), 60)

_BY_CODE: tuple[tuple[Policy, tuple[int, ...]], ...] = (
    # system, token, rate (§22.1)
    (Policy(Act.BUSY, "wecom.busy", _("企业微信系统繁忙。"), LATER), (-1, 830003)),
    (_wait("version_conflict", _("有别的操作同时修改了同一份数据。"), 1, Act.AGAIN), (6000,)),
    (_wait("concurrent", _("同时调用太多，或有别的操作正在处理同一个对象。"), 5, Act.AGAIN), (45033, 45035, 41096)),
    (TOKEN, (40014, 42001, 40082, 42009)),
    (_BAD_SECRET, (40001, 40091)),
    (_DISABLED, (50003,)),
    (_config("bad_corpid", _("企业 ID 不正确。"), _("在企业微信管理后台 › 我的企业 最下方复制企业 ID。")), (40013,)),
    (_FREQUENT, (45009,)),
    (_NOT_ALLOWED, (48001, 48002, 48006, 60031)),
    (
        _config(
            "ip_untrusted",
            _("服务器的 IP 不在应用的企业可信 IP 里。"),
            _("在企业微信管理后台 › 应用管理 › 本应用 › 企业可信 IP 加入服务器出口 IP，约 1 分钟后生效，再重新检测。"),
        ),
        (60020,),
    ),
    (_PROVIDER, (48004, 40084)),
    (_SUITE, (48003, 40083, 41021, 41022)),
    (_TICKET, (40085, 41023)),
    # our own, which no answer of WeCom's brings
    (
        _config("disconnected", _("这个企业已断开接入。"), _("在 设置 › 企微接入 重新接入。")),
        (),
    ),
    (_config("authorisation_cancelled", _("企业取消了对服务商应用的授权。"), REAUTHORISE), ()),
    (
        _config(
            "authorised_elsewhere",
            _("这个企业已经接入了另一个品牌。"),
            _("先在那个品牌断开接入，再重新授权。"),
        ),
        (),
    ),
    (_LICENCE, (701008, 701099)),
    (_refused("api_retired", _("企业微信已停用这个接口。")), (48005,)),
    (_CODES, (42003, 42022, 42007, 40077, 40078, 42013, 40029, 42012, 84071, 84090, 91040, 42015)),
    # parameters (§22.2)
    (_NO_MEMBER, (40003, 46004, 60111, 301021)),
    (
        _MEDIA,
        (
            *(40004, 40005, 40006, 40009, 40123, 44001, 45001, 45007, 301019),
            *(41080, 41081, 41082, 41090, 830001, 830002),
        ),
    ),
    (_state("media_expired", _("素材已过期（3 天有效）。"), _("重新上传素材。")), (40007,)),
    (_config("bad_agent", _("AgentId 不正确，或不属于这个 Secret。"), SECRET), (40056, 301002)),
    (_config("callback_unverified", _("回调地址没有通过企业微信的验证。"), ADMIN), (40057,)),
    (
        _BAD_PARAMETER,
        (
            *(40033, 40035, 40058, 40066, 40073, 40093, 40127, 45034, 81001, 81002, 81017),
            *(41036, 41039, 41040, 41042, 41052, 41056, 41061, 41066, 41067, 41068, 41069, 41070, 41076, 41077),
            *(41083, 41084, 610003, 610018),
        ),
    ),
    (
        _MISSING,
        (
            *(40063, 41001, 41002, 41004, 41006, 41009, 41010, 41011, 41033, 41035, 41037, 41038, 41043, 41046),
            *(41049, 41059, 81012),
        ),
    ),
    (
        _CONTENT,
        (
            *(40072, 44004, 45002, 45008, 41064, 41065, 41072, 41073, 41085, 41086, 41087, 41088, 41089, 41041),
            41091,
        ),
    ),
    (_state("content_refused", _("内容被企业微信的安全检查拦下。"), _("修改内容后重新发送。")), (40201,)),
    (_TAG, (40068,)),
    (_state("name_taken", _("已有同名的标签或标签组。"), _("换一个名称。")), (40071,)),
    (_state("cursor_expired", _("翻页位置已失效。"), _("从头开始翻页。")), (50100,)),
    # members and scope (§22.3)
    (_OUT_OF_SCOPE, (50002, 60011, 60021, 60030, 92000, 84074, 84083)),
    (_config("sensitive_denied", _("应用没有读取敏感信息的权限。")), (92001, 92002, 92003, 50001)),
    (
        _state("no_department", _("企业微信里没有这个部门，或部门的状态不允许。"), SYNC),
        (*(60003, 60004, 60005, 60008, 60010, 60102, 60104, 60106),),
    ),
    (
        _refused("foreign_tag", _("标签是别的应用或在企业微信后台建的，本应用不能改。"), _("在企业微信后台修改。")),
        (81011,),
    ),
    (_state("nobody", _("没有可以收到的人。")), (81013, 41048)),
    # customer contact (§22.4)
    (_state("no_contact", _("客户不存在，或跟进人不在应用的可见范围内。"), SYNC), (40096, 610004, 610014, 90511)),
    (_NO_RELATION, (84061, 84084, 40131)),
    (_state("member_not_ready", _("员工没有激活或没有实名。"), _("请员工登录企业微信并完成实名。")), (40098, 41054)),
    (_state("transfer_refused", _("不能这样继承。")), (40097, 40099, 40128, 40130, 40143, 90500, 90502, 90503, 90504)),
    (_TRANSFER, (40100, 40129, 90507, 90508)),
    (_CAP, (40126, 41045, 41055, 41095, 610001)),
    (_state("code_gone", _("联系我二维码已不存在。"), SYNC), (41044, 41071, 41074, 41075)),
    (_state("task_gone", _("企业微信里没有这个任务。")), (41047, 41060)),
    (_state("welcome_too_late", _("欢迎语已过 20 秒，或聊天已经开始。")), (41050, 41051)),
    (_state("not_agreed", _("客户没有同意会话存档。")), (41053,)),
    (_config("not_linked", _("没有绑定微信开发者账号，或不是服务商付费模式。")), (41057, 41099)),
    (
        _state("foreign_object", _("这是别的应用建的，本应用不能改。"), _("用建它的应用修改，或新建一个。")),
        (41058, 41098),
    ),
    (_state("not_published", _("员工还没有发表这条朋友圈。")), (41062,)),
    (Policy(Act.EARLY, "wecom.still_dispatching", _("企业微信还在分发这个任务。"), LATER, 30), (41063, 41079)),
    (_wait("too_many_jobs", _("正在进行的朋友圈任务太多。"), 120), (41078,)),
    (_state("task_cancelled", _("任务已取消。")), (41093,)),
    (_wait("remind_limit", _("每个任务 24 小时内最多提醒 3 次。"), 24 * 3600), (41094,)),
    (_state("no_group", _("不是这个企业的客户群。"), SYNC), (90501, 90509)),
    (_config("corp_inactive", _("企业没有认证，或一年没有活跃员工。")), (90510, 43009, 610016)),
    # identities and messages (§22.5)
    (_state("no_wechat", _("员工没有绑定微信。")), (43004,)),
    (_DISCONNECTED, (610015, 610017, 845001, 845002, 845003)),
    # WeChat's own, of a mini program's log-in (§19.3)
    (_wait("mini_program_throttled", _("小程序登录太频繁。"), 60), (45011,)),
    (_state("risk_user", _("微信判定这个用户有风险，不让登录。")), (40226,)),
)

TABLE: dict[int, Policy] = {number: policy for policy, numbers in _BY_CODE for number in numbers}
_BY_NAME: dict[str, Policy] = {policy.code: policy for policy, _numbers in _BY_CODE}


GRANT = _("请服务商在应用模板里勾选这项权限，再请企业的管理员重新授权。")
_OF_PROVIDED: dict[str, Text] = {
    _NOT_ALLOWED.code: GRANT,
    _BAD_SECRET.code: REAUTHORISE,
    "wecom.ip_untrusted": _("请服务商在服务商后台的 IP 白名单里加入服务器出口 IP，再重新检测。"),
}
"""what else is to be done where the app came by an authorisation of a provider's (reference §2.2, §5)"""


def remedy_of(code: str, *, provided: bool = False) -> Text:
    """What to do about one of our own codes, for an app of the corp's or one `provided` by a provider."""
    return _OF_PROVIDED.get(code, "") if provided and code in _OF_PROVIDED else policy_named(code).remedy


def policy_named(code: str) -> Policy:
    """The policy behind one of our own codes, to say again in the reader's language what was noted earlier."""
    return _BY_NAME.get(code, UNNAMED)


def policy_of(errcode: int) -> Policy:
    """How this code is treated."""
    return TABLE.get(errcode, UNNAMED)


def error_of(errcode: int, *, api: str) -> errors.WeComError:
    """The exception a code ends in once all retries are spent, for a call that may be repeated."""
    policy = policy_of(errcode)
    if policy.act in (Act.WAIT, Act.AGAIN):
        return errors.Throttled(
            policy.detail, retry_after=policy.wait, remedy=policy.remedy, code=policy.code, errcode=errcode, api=api
        )
    kind = {
        Act.BUSY: errors.Busy,
        Act.EARLY: errors.StillDispatching,
        Act.TOKEN: errors.Misconfigured,
        Act.CONFIG: errors.Misconfigured,
        Act.STATE: errors.Gone,
    }.get(policy.act, errors.Rejected)
    return kind(policy.detail, remedy=policy.remedy, code=policy.code, errcode=errcode, api=api)

"""What can come of a call, in words for people."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Meaning:
    """What happened and what the brand's developers can do about it."""

    text: Promise
    remedy: Promise


MEANINGS: dict[str, Meaning] = {
    "delivered": Meaning(_("对方已收下"), _("无需处理。")),
    "no_address": Meaning(_("域名解析不到地址"), _("检查域名和 DNS。")),
    "forbidden_address": Meaning(_("地址指向内网或本机"), _("换成公网可达的 HTTPS 地址；自建部署可在设置中放行内网。")),
    "tls": Meaning(_("证书无效"), _("为该域名安装有效证书，含完整证书链。")),
    "unreachable": Meaning(_("连接不上"), _("确认服务在运行，防火墙放行。")),
    "timeout": Meaning(_("超过 10 秒没有应答"), _("收下后立即返回 2xx，再在后台处理。")),
    "redirected": Meaning(_("返回了跳转，我们不跟随跳转"), _("填写跳转之后的最终地址。")),
    "gone": Meaning(_("返回 410，推送已停用"), _("修好后在这里重新启用。")),
    "refused": Meaning(_("返回了 4xx"), _("检查签名验证和路径；事件会继续重试。")),
    "server_error": Meaning(_("返回了 5xx"), _("查看接收方的错误日志；事件会继续重试。")),
    "broken": Meaning(_("应答不是合法的 HTTP"), _("检查反向代理。")),
    "expired": Meaning(_("24 小时内没有送达"), _("修好后重放。")),
}

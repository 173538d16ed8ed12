"""Why somebody was not written to: the same words in the plan, the result, the API and the console."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Reason(models.TextChoices):
    """`Delivery.reason` and `GroupDelivery.reason`. The first block is the plan's, the second what came of sending."""

    NOT_FRIEND = "not_friend", _("无好友")
    """no live friendship with anybody in the corp that sends"""
    NO_GUIDE = "no_guide", _("没有在职导购")
    """a friend, but of nobody who is a guide and has not left; a group: its owner"""
    NO_VARIANT = "no_variant", _("不符合任何变体")
    QUOTA_DAY = "quota_day", _("今天额度已满")
    QUOTA_WEEK = "quota_week", _("本周额度已满")
    QUOTA_MONTH = "quota_month", _("本月额度已满")
    BRAND_CAP = "brand_cap", _("频控已满")
    ALREADY_RESERVED = "already_reserved", _("额度已被其他推送预留")
    """the quota or cap is full of touches that are planned but not confirmed yet"""
    OUTRANKED = "outranked", _("让位给优先级更高的推送")
    """a push of higher priority, scheduled inside the window, needs the last place"""
    OVER_MAX = "over_max", _("超出最多人数")

    CONTACT_GONE = "contact_gone", _("已不是好友")
    """WeCom's send status 2, or the id was in fail_list"""
    WECOM_QUOTA = "wecom_quota", _("企业微信判定额度已满")
    """WeCom's send status 3: the customer got other mass messages already"""
    REFUSED = "refused", _("企业微信拒绝")
    NOT_CONFIRMED = "not_confirmed", _("导购未确认")
    UNKNOWN = "unknown", _("状态未明")
    CANCELLED = "cancelled", _("推送已取消")
    MERGED = "merged", _("与另一位客户合并，只发一次")
    """two contacts of one push turned out to be one person"""

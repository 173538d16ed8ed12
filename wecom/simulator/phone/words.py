"""What the phone's pages say, in the two languages of the house. The simulator knows nothing of Django's catalogues."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from wecom.simulator.quota import SHANGHAI

CHINESE, ENGLISH = "zh", "en"

ENGLISH_WORDS = {
    "微信": "WeChat",
    "聊天": "Chats",
    "朋友圈": "Moments",
    "还没有消息": "No messages yet",
    "发给这位客户的消息会出现在这里": "What is sent to this customer appears here",
    "还没有动态": "No Moments yet",
    "导购发表的朋友圈会出现在这里": "What guides publish appears here",
    "图片": "Picture",
    "视频": "Video",
    "文件": "File",
    "链接": "Link",
    "小程序": "Mini program",
    "我": "Me",
    "你已添加了{name}，现在可以开始聊天了": "You have added {name}. You can start chatting now",
    "你删除了{name}，不再收到消息": "You deleted {name} and get no more messages",
    "你加入了群聊": "You joined the group",
    "群聊": "Group",
    "换一位客户": "Another customer",
    "全部客户": "All customers",
    "{corp}的客户": "Customers of {corp}",
    "{name}的手机": "Phone of {name}",
    "按昵称或 ID 查找": "Find by nickname or ID",
    "查找": "Find",
    "没有找到这样的客户": "No such customer",
    "还没有人收到消息，先列出一些客户": "Nobody has received anything yet: some customers",
    "最近收到消息的客户": "Customers who received something lately",
    "导购": "Guides",
    "已删除": "deleted",
    "模拟器中的客户所见": "What this customer sees, in the simulator",
    "选一位客户，看其手机上收到了什么": "Choose a customer to see what their phone received",
    "昨天": "Yesterday",
    "返回": "Back",
}
ENGLISH_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CHINESE_DAYS = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")


@dataclass(frozen=True)
class Words:
    """The words of one language, and how it tells a time. `now`: Unix seconds of the simulated world."""

    language: str
    now: float

    def __call__(self, text: str, **values: object) -> str:
        """The text in this language, with its values put in."""
        said = ENGLISH_WORDS[text] if self.language == ENGLISH else text
        return said.format(**values) if values else said

    def listed(self, names: list[str]) -> str:
        """Names one after another."""
        return (", " if self.language == ENGLISH else "、").join(names)

    def when(self, at: float) -> str:
        """A time as WeChat shows it: the hour today, else yesterday, the day of the week, the date."""
        then, now = _local(at), _local(self.now)
        hour = then.strftime("%H:%M")
        days = (now.date() - then.date()).days
        if days == 0:
            return hour
        if days == 1:
            return f"{self('昨天')} {hour}"
        if 1 < days < 7:
            names = ENGLISH_DAYS if self.language == ENGLISH else CHINESE_DAYS
            return f"{names[then.weekday()]} {hour}"
        if self.language == ENGLISH:
            return f"{then.day} {then.strftime('%b')} {hour}" if then.year == now.year else f"{then:%d %b %Y}"
        year = "" if then.year == now.year else f"{then.year}年"
        return f"{year}{then.month}月{then.day}日 {hour}"

    def clock(self) -> str:
        """What the status bar shows."""
        return _local(self.now).strftime("%H:%M")


def language_of(asked: str, accepted: str) -> str:
    """zh or en: what the address asks for, else what the browser prefers, else Chinese."""
    if asked in (CHINESE, ENGLISH):
        return asked
    return ENGLISH if accepted.strip().lower().startswith(ENGLISH) else CHINESE


def _local(at: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(at, SHANGHAI)

"""Customer groups, their QR codes and welcomes (reference §11, §12.5)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from wecom.types.base import Page


@dataclass(frozen=True, slots=True)
class GroupRef:
    """A customer group in a list. status: 0 normal, 1 owner resigned, 2 being inherited, 3 inherited."""

    chat_id: str
    status: int


GroupPage = Page[GroupRef]


@dataclass(frozen=True, slots=True)
class GroupMember:
    """kind: 1 member of the corp, 2 external. `userid` is a userid or an external_userid accordingly."""

    userid: str
    kind: int
    joined_at: datetime | None
    join_scene: int
    unionid: str = ""
    name: str = ""
    invitor: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class GroupDetail:
    """客户群. `version` changes whenever members come or go."""

    chat_id: str
    name: str
    owner: str
    created_at: datetime | None
    notice: str
    version: str
    members: list[GroupMember]
    admins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JoinWay:
    """加入群聊. scene: 1 mini-program button, 2 QR code. With `creates_rooms` WeCom opens `room_base_name` + a number,
    from `room_base_id` on, when all groups of the code are full."""

    config_id: str
    scene: int
    chat_ids: tuple[str, ...]
    qr_code: str
    state: str
    remark: str = ""
    creates_rooms: bool = True
    room_base_name: str = ""
    room_base_id: int = 0


@dataclass(frozen=True, slots=True)
class GroupWelcome:
    """入群欢迎语 template: text and at most one attachment, as mass sends write theirs."""

    template_id: str
    text: str
    attachment: dict[str, Any] | None = None

"""加入群聊 codes and 入群欢迎语 templates (reference §11.2, §12.5).

WeCom lists neither: after OutcomeUnknown nobody can find out whether one was made. One that nobody knows leads nobody
anywhere and costs nothing but a place among 500,000 (templates: 100), so that making another is right."""

from collections.abc import Sequence
from typing import Any

from wecom import errors
from wecom.calls.base import Calls, Json, strings
from wecom.types import GroupWelcome, JoinWay

ROOT = "externalcontact/groupchat"
WELCOME = "externalcontact/group_welcome_template"
QR_CODE = 2
KINDS = ("image", "link", "miniprogram", "file", "video")


class GroupCodeCalls(Calls):
    """加入群聊、入群欢迎语."""

    def add_join_way(
        self,
        *,
        chat_ids: Sequence[str],
        state: str = "",
        remark: str = "",
        creates_rooms: bool = True,
        room_base_name: str = "",
        room_base_id: int = 0,
        scene: int = QR_CODE,
    ) -> str:
        """A code into up to 5 groups; its config_id. The image's URL comes from `join_way` only. `state`, `remark`
        ≤ 30 chars, `room_base_name` ≤ 40. Never repeated: maybe OutcomeUnknown. Official 92229."""
        body = _way(chat_ids, state, remark, creates_rooms, room_base_name, room_base_id, scene)
        return str(self._post_once(f"{ROOT}/add_join_way", body)["config_id"])

    def join_way(self, *, config_id: str) -> JoinWay:
        """The code as it is. Raises Gone when there is none."""
        row = self._post(f"{ROOT}/get_join_way", {"config_id": config_id})["join_way"]
        return JoinWay(
            config_id=str(row.get("config_id") or config_id),
            scene=int(row.get("scene") or 0),
            chat_ids=strings(row.get("chat_id_list")),
            qr_code=str(row.get("qr_code") or ""),
            state=str(row.get("state") or ""),
            remark=str(row.get("remark") or ""),
            creates_rooms=bool(row.get("auto_create_room")),
            room_base_name=str(row.get("room_base_name") or ""),
            room_base_id=int(row.get("room_base_id") or 0),
        )

    def update_join_way(
        self,
        *,
        config_id: str,
        chat_ids: Sequence[str],
        state: str = "",
        remark: str = "",
        creates_rooms: bool = True,
        room_base_name: str = "",
        room_base_id: int = 0,
        scene: int = QR_CODE,
    ) -> None:
        """Overwrite the whole code: what is not given is gone. A repeat is fine."""
        body = _way(chat_ids, state, remark, creates_rooms, room_base_name, room_base_id, scene)
        self._post(f"{ROOT}/update_join_way", {"config_id": config_id, **body})

    def delete_join_way(self, *, config_id: str) -> None:
        """The code shows as invalid from then on; one that is gone already is fine."""
        try:
            self._post(f"{ROOT}/del_join_way", {"config_id": config_id})
        except errors.Gone as gone:
            if gone.problem_code != "wecom.code_gone":
                raise

    def add_group_welcome(self, *, text: str = "", attachment: Json | None = None, notify: bool = True) -> str:
        """A template with text (≤ 3000 bytes) and at most one attachment; its id. Group owners choose it in their
        client; `notify` tells them. Never repeated: maybe OutcomeUnknown. Official 92366."""
        body = {**_welcome(text, attachment), "notify": int(notify)}
        return str(self._post_once(f"{WELCOME}/add", body)["template_id"])

    def group_welcome(self, *, template_id: str) -> GroupWelcome:
        """A template as it is."""
        answer = self._post(f"{WELCOME}/get", {"template_id": template_id})
        kind = next((each for each in KINDS if answer.get(each)), None)
        attachment = {"msgtype": kind, kind: answer[kind]} if kind else None
        return GroupWelcome(template_id, str((answer.get("text") or {}).get("content") or ""), attachment)

    def update_group_welcome(self, *, template_id: str, text: str = "", attachment: Json | None = None) -> None:
        """Replace a template's content as a whole. A repeat is fine."""
        self._post(f"{WELCOME}/edit", {"template_id": template_id, **_welcome(text, attachment)})

    def delete_group_welcome(self, *, template_id: str) -> None:
        """Delete a template. A repeat after a lost answer is Rejected."""
        self._post(f"{WELCOME}/del", {"template_id": template_id})


def _way(
    chat_ids: Sequence[str],
    state: str,
    remark: str,
    creates_rooms: bool,
    room_base_name: str,
    room_base_id: int,
    scene: int,
) -> Json:
    return {
        "scene": scene,
        "chat_id_list": list(chat_ids),
        "state": state or None,
        "remark": remark or None,
        "auto_create_room": int(creates_rooms),
        "room_base_name": room_base_name or None,
        "room_base_id": room_base_id or None,
    }


def _welcome(text: str, attachment: Json | None) -> Json:
    body: dict[str, Any] = {"text": {"content": text}} if text else {}
    if attachment:
        kind = str(attachment["msgtype"])
        body[kind] = attachment[kind]
    return body

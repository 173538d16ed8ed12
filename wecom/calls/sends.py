"""Mass sends and welcomes (reference §12), media (§17)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from django.utils.http import parse_header_parameters

from wecom import errors
from wecom.calls.base import Calls, Json, content, cursor_of, moment, seconds
from wecom.types import (
    MassMessage,
    MassSend,
    Media,
    MediaFile,
    MemberTask,
    Page,
    SendResult,
    SendStatus,
    TaskStatus,
)

ChatType = Literal["single", "group"]
ATTACHMENT_MOMENTS = 1


class SendCalls(Calls):
    """群发、欢迎语、素材."""

    def send_welcome(self, *, code: str, text: str = "", attachments: Sequence[Json] = ()) -> None:
        """Answer an add within 20 s, once. Never repeated. Raises Gone `wecom.welcome_too_late`, OutcomeUnknown."""
        body = {"welcome_code": code, **content(text, list(attachments))}
        self._post_once("externalcontact/send_welcome_msg", body)

    def add_msg_template(
        self,
        *,
        chat_type: ChatType,
        sender: str,
        external_userids: Sequence[str] = (),
        chat_ids: Sequence[str] = (),
        text: str = "",
        attachments: Sequence[Json] = (),
    ) -> MassSend:
        """Create a mass-send task for one sender: ≤ 10,000 customers (single) or ≤ 2,000 chats (group). Official 92135.

        Never repeated: raises OutcomeUnknown when it ends without an answer, then look into group_messages().
        All other ends leave nothing behind: Unreachable, Throttled, Misconfigured, Rejected (Gone: nobody there)."""
        body: Json = {
            "chat_type": chat_type,
            "sender": sender,
            "external_userid": list(external_userids) or None,
            "chat_id_list": list(chat_ids) or None,
            **content(text, list(attachments)),
        }
        answer = self._post_once("externalcontact/add_msg_template", body)
        return MassSend(str(answer["msgid"]), [str(each) for each in answer.get("fail_list") or []])

    def group_messages(
        self, *, start: datetime, end: datetime, chat_type: ChatType, cursor: str = "", limit: int = 100
    ) -> Page[MassMessage]:
        """One page of the tasks created in [start, end] (at most a month apart). Official 93338."""
        body = {
            "chat_type": chat_type,
            "start_time": seconds(start),
            "end_time": seconds(end),
            "filter_type": 2,
            "limit": limit,
            "cursor": cursor or None,
        }
        answer = self._post("externalcontact/get_groupmsg_list_v2", body)
        return Page([_message(row) for row in answer.get("group_msg_list") or []], cursor_of(answer))

    def message_tasks(self, *, msgid: str, cursor: str = "", limit: int = 1000) -> Page[MemberTask]:
        """One page of the members of a task and whether they confirmed. Raises StillDispatching, Gone."""
        answer = self._post("externalcontact/get_groupmsg_task", _asked(msgid, cursor, limit))
        return Page(
            [
                MemberTask(str(row["userid"]), _task_status(row.get("status")), moment(row.get("send_time")))
                for row in answer.get("task_list") or []
            ],
            cursor_of(answer),
        )

    def message_results(self, *, msgid: str, userid: str, cursor: str = "", limit: int = 1000) -> Page[SendResult]:
        """One page of one member's receivers; a group task lists only what was sent. Raises StillDispatching, Gone."""
        body = {**_asked(msgid, cursor, limit), "userid": userid}
        answer = self._post("externalcontact/get_groupmsg_send_result", body)
        return Page([_result(row) for row in answer.get("send_list") or []], cursor_of(answer))

    def remind(self, *, msgid: str) -> None:
        """Nudge the members who have not confirmed. Never repeated. Throttled after three in 24 h. Official 97610."""
        self._post_once("externalcontact/remind_groupmsg_send", {"msgid": msgid})

    def cancel_message(self, *, msgid: str) -> None:
        """Members who have not sent yet no longer can; what was sent stays. A repeat is fine. Official 97611."""
        try:
            self._post("externalcontact/cancel_groupmsg_send", {"msgid": msgid})
        except errors.Gone as gone:
            if gone.problem_code != "wecom.task_cancelled":
                raise

    # -- media; an upload that is repeated leaves one unused file behind, no harm --

    def upload_media(self, *, kind: Literal["image", "voice", "video", "file"], filename: str, data: bytes) -> Media:
        """A temporary media id for messages. Official 90253."""
        return self._upload("media/upload", filename, data, type=kind)

    def upload_attachment(self, *, kind: Literal["image", "video"], filename: str, data: bytes) -> Media:
        """A temporary media id for moments (other ids are refused there). Official 95098."""
        query = {"media_type": kind, "attachment_type": ATTACHMENT_MOMENTS}
        return self._upload("media/upload_attachment", filename, data, **query)

    def upload_image(self, *, filename: str, data: bytes) -> str:
        """The permanent URL of an image (≤ 2 MB), usable inside WeCom's content only. Official 90256."""
        return str(self._call("post", "media/uploadimg", file=(filename, data))["url"])

    def media(self, *, media_id: str) -> MediaFile:
        """The file behind a temporary media id. Raises Gone `wecom.media_expired` after three days. Official 90254."""
        response = self._get("media/get", media_id=media_id)["file"]
        _value, options = parse_header_parameters(str(response.headers.get("Content-Disposition")))
        return MediaFile(
            filename=str(options.get("filename", "")).encode("latin-1", "replace").decode("utf-8", "replace"),
            content_type=str(response.headers.get("Content-Type") or ""),
            data=bytes(response.content),
        )

    def _upload(self, api: str, filename: str, data: bytes, **params: Any) -> Media:
        answer = self._call("post", api, params=params, file=(filename, data))
        return Media(str(answer["media_id"]), moment(answer.get("created_at")))


def _asked(msgid: str, cursor: str, limit: int) -> Json:
    return {"msgid": msgid, "limit": limit, "cursor": cursor or None}


def _task_status(number: Any) -> TaskStatus:
    return TaskStatus.SENT if int(number or 0) == TaskStatus.SENT else TaskStatus.NOT_SENT


def _message(row: Json) -> MassMessage:
    return MassMessage(
        msgid=str(row["msgid"]),
        created_at=moment(row.get("create_time")),
        creator=str(row.get("creator") or ""),
        text=str((row.get("text") or {}).get("content") or ""),
        attachments=list(row.get("attachments") or []),
    )


def _result(row: Json) -> SendResult:
    return SendResult(
        external_userid=str(row.get("external_userid") or ""),
        chat_id=str(row.get("chat_id") or ""),
        userid=str(row.get("userid") or ""),
        status=SendStatus(int(row.get("status") or 0)),
        sent_at=moment(row.get("send_time")),
    )

"""Customer moments (客户朋友圈, reference §13)."""

from collections.abc import Sequence
from datetime import datetime

from wecom import errors
from wecom.calls.base import Calls, Json, content, cursor_of, moment, seconds
from wecom.policy import policy_of
from wecom.types import JobStatus, MemberTask, Moment, MomentJob, Page, Reaction, Reactions, TaskStatus

PUBLIC = 1


class MomentCalls(Calls):
    """客户朋友圈. Nothing calls back: publishing, likes and comments are polled."""

    def add_moment(
        self,
        *,
        text: str = "",
        attachments: Sequence[Json] = (),
        userids: Sequence[str] = (),
        tag_ids: Sequence[str] = (),
    ) -> str:
        """Ask for a moment by `userids` (empty: everybody) to customers with any of `tag_ids` (empty: all of theirs).

        Returns the jobid of an asynchronous job, good for 24 h. Never repeated: maybe OutcomeUnknown. 95094."""
        visible: Json = {}
        if userids:
            visible["sender_list"] = {"user_list": list(userids)}
        if tag_ids:
            visible["external_contact_list"] = {"tag_list": list(tag_ids)}
        body = {**content(text, list(attachments)), "visible_range": visible or None}
        return str(self._post_once("externalcontact/add_moment_task", body)["jobid"])

    def moment_job(self, *, jobid: str) -> MomentJob:
        """How far the job is; a finished one has a moment_id or an errcode."""
        answer = self._get("externalcontact/get_moment_task_result", jobid=jobid)
        result = answer.get("result") or {}
        errcode = int(result.get("errcode") or 0)
        senders = result.get("invalid_sender_list") or {}
        tags = result.get("invalid_external_contact_list") or {}
        return MomentJob(
            status=JobStatus(int(answer["status"])),
            errcode=errcode,
            code=policy_of(errcode).code if errcode else "",
            moment_id=str(result.get("moment_id") or ""),
            invalid_userids=tuple(str(each) for each in senders.get("user_list") or []),
            invalid_tag_ids=tuple(str(each) for each in tags.get("tag_list") or []),
        )

    def cancel_moment(self, *, moment_id: str) -> None:
        """Members who have not published no longer can; what is published stays. A repeat is fine. Official 97612."""
        try:
            self._post("externalcontact/cancel_moment_task", {"moment_id": moment_id})
        except errors.Gone as gone:
            if gone.problem_code != "wecom.task_cancelled":
                raise

    def moments(self, *, start: datetime, end: datetime, cursor: str = "") -> Page[Moment]:
        """One page (≤ 20) of the moments created between start and end, both excluded, ≤ 30 days. Official 93333."""
        body = {
            "start_time": seconds(start),
            "end_time": seconds(end),
            "filter_type": 2,
            "limit": 20,
            "cursor": cursor or None,
        }
        answer = self._post("externalcontact/get_moment_list", body)
        return Page([_moment(row) for row in answer.get("moment_list") or []], cursor_of(answer))

    def moment_tasks(self, *, moment_id: str, cursor: str = "", limit: int = 1000) -> Page[MemberTask]:
        """One page of the members and whether they published (SENT); WeCom does not tell when."""
        body = {"moment_id": moment_id, "cursor": cursor or None, "limit": limit}
        answer = self._post("externalcontact/get_moment_task", body)
        return Page(
            [
                MemberTask(str(row["userid"]), TaskStatus.SENT if row.get("publish_status") else TaskStatus.NOT_SENT)
                for row in answer.get("task_list") or []
            ],
            cursor_of(answer),
        )

    def moment_visible(self, *, moment_id: str, userid: str, cursor: str = "", limit: int = 1000) -> Page[str]:
        """One page of external_userids who can see a member's publication."""
        return self._people("externalcontact/get_moment_customer_list", moment_id, userid, cursor, limit)

    def moment_shown(self, *, moment_id: str, userid: str, cursor: str = "", limit: int = 5000) -> Page[str]:
        """One page of external_userids it was shown to. Raises Gone `wecom.not_published` before."""
        return self._people("externalcontact/get_moment_send_result", moment_id, userid, cursor, limit)

    def moment_reactions(self, *, moment_id: str, userid: str) -> Reactions:
        """Likes and comments under a member's publication. Raises Gone `wecom.not_published` before."""
        body = {"moment_id": moment_id, "userid": userid}
        answer = self._post("externalcontact/get_moment_comments", body)
        return Reactions(
            likes=[_reaction(row) for row in answer.get("like_list") or []],
            comments=[_reaction(row) for row in answer.get("comment_list") or []],
        )

    def _people(self, api: str, moment_id: str, userid: str, cursor: str, limit: int) -> Page[str]:
        body = {"moment_id": moment_id, "userid": userid, "cursor": cursor or None, "limit": limit}
        answer = self._post(api, body)
        return Page([str(row["external_userid"]) for row in answer.get("customer_list") or []], cursor_of(answer))


def _reaction(row: Json) -> Reaction:
    return Reaction(str(row.get("external_userid") or ""), str(row.get("userid") or ""), moment(row.get("create_time")))


def _moment(row: Json) -> Moment:
    videos = [row["video"]] if row.get("video") else []
    return Moment(
        moment_id=str(row["moment_id"]),
        created_at=moment(row.get("create_time")),
        creator=str(row.get("creator") or ""),
        public=row.get("visible_type") == PUBLIC,
        text=str((row.get("text") or {}).get("content") or ""),
        media_ids=tuple(str(each.get("media_id") or "") for each in [*(row.get("image") or []), *videos]),
        link_url=str((row.get("link") or {}).get("url") or ""),
    )

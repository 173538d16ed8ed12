"""Customer groups (reference §11)."""

from collections.abc import Sequence

from wecom import errors
from wecom.calls.base import Calls, Json, cursor_of, moment
from wecom.policy import error_of
from wecom.types import GroupDetail, GroupMember, GroupPage, GroupRef, Page

BAD_PARAMETER = 40058
NO_GROUP = 90501


class GroupCalls(Calls):
    """客户群."""

    def group_chats(self, *, cursor: str = "", owners: Sequence[str] = (), limit: int = 1000) -> GroupPage:
        """One page of the groups, of all owners or of up to 100. Official 92120.

        With more than 1000 visible members WeCom insists on `owners` (Rejected)."""
        body = {
            "owner_filter": {"userid_list": list(owners)} if owners else None,
            "cursor": cursor or None,
            "limit": limit,
        }
        answer = self._post("externalcontact/groupchat/list", body)
        refs = [
            GroupRef(str(row["chat_id"]), int(row.get("status") or 0)) for row in answer.get("group_chat_list") or []
        ]
        return Page(refs, cursor_of(answer))

    def group_chat(self, *, chat_id: str) -> GroupDetail:
        """One group with its members and their names. Raises Gone when it is not a customer group. Official 92122."""
        try:
            row = self._post("externalcontact/groupchat/get", {"chat_id": chat_id, "need_name": 1})["group_chat"]
        except errors.Rejected as refusal:
            if refusal.errcode == BAD_PARAMETER:  # the id is the only parameter: there is no such group (§24.5)
                raise error_of(NO_GROUP, api=refusal.api) from refusal
            raise
        return GroupDetail(
            chat_id=str(row["chat_id"]),
            name=str(row.get("name") or ""),
            owner=str(row.get("owner") or ""),
            created_at=moment(row.get("create_time")),
            notice=str(row.get("notice") or ""),
            version=str(row.get("member_version") or ""),
            members=[_member(each) for each in row.get("member_list") or []],
            admins=tuple(str(each["userid"]) for each in row.get("admin_list") or []),
        )


def _member(row: Json) -> GroupMember:
    return GroupMember(
        userid=str(row["userid"]),
        kind=int(row.get("type") or 0),
        joined_at=moment(row.get("join_time")),
        join_scene=int(row.get("join_scene") or 0),
        unionid=str(row.get("unionid") or ""),
        name=str(row.get("name") or ""),
        invitor=str((row.get("invitor") or {}).get("userid") or ""),
        state=str(row.get("state") or ""),
    )

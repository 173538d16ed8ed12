"""获客助手: acquisition links, their customers, quota and figures (reference §10); needs an app on its list."""

from collections.abc import Sequence
from datetime import datetime

from wecom import errors
from wecom.calls.base import Calls, Json, cursor_of, moment, numbers, seconds, strings
from wecom.types import (
    AcquisitionLink,
    AcquisitionQuota,
    ChatStatus,
    LinkChat,
    LinkCustomer,
    LinkStatistic,
    Page,
    QuotaPart,
)

ROOT = "externalcontact/customer_acquisition"
PRIORITY_ALL, PRIORITY_LISTED = 1, 2


class AcquisitionCalls(Calls):
    """获客助手."""

    def acquisition_links(self, *, cursor: str = "", limit: int = 100) -> Page[str]:
        """One page (≤ 100) of link ids. Official 97297."""
        answer = self._post(f"{ROOT}/list_link", {"cursor": cursor or None, "limit": limit})
        return Page([str(each) for each in answer.get("link_id_list") or []], cursor_of(answer))

    def acquisition_link(self, *, link_id: str) -> AcquisitionLink:
        """One link with the members it leads to."""
        return _link(self._post(f"{ROOT}/get", {"link_id": link_id}))

    def create_acquisition_link(
        self,
        *,
        name: str,
        userids: Sequence[str] = (),
        department_ids: Sequence[int] = (),
        skip_verify: bool = True,
        priority: int = 0,
        priority_userids: Sequence[str] = (),
    ) -> AcquisitionLink:
        """A link (name ≤ 30 chars) to up to 500 members. `priority`: whom a customer gets who knows somebody already,
        see AcquisitionLink. Never repeated: maybe OutcomeUnknown, then wecom.reconcile finds it by name and range."""
        body = {
            "link_name": name,
            **_changes(userids, department_ids, priority, priority_userids),
            "skip_verify": skip_verify,
        }
        row = self._post_once(f"{ROOT}/create_link", body)["link"]
        return AcquisitionLink(
            link_id=str(row["link_id"]),
            name=str(row.get("link_name") or name),
            url=str(row["url"]),
            created_at=moment(row.get("create_time")),
            skip_verify=skip_verify,
            userids=tuple(userids),
            department_ids=tuple(department_ids),
            priority=priority,
            priority_userids=tuple(priority_userids),
        )

    def update_acquisition_link(
        self,
        *,
        link_id: str,
        name: str | None = None,
        userids: Sequence[str] | None = None,
        department_ids: Sequence[int] | None = None,
        skip_verify: bool | None = None,
        priority: int = 0,
        priority_userids: Sequence[str] = (),
    ) -> None:
        """Change what is given; the range (both kinds together) is replaced as a whole. A repeat is fine."""
        body = {
            "link_id": link_id,
            "link_name": name,
            "skip_verify": skip_verify,
            **_changes(userids, department_ids, priority, priority_userids),
        }
        self._post(f"{ROOT}/update_link", body)

    def delete_acquisition_link(self, *, link_id: str) -> None:
        """The link leads nowhere from then on. A repeat after a lost answer is Rejected."""
        self._post(f"{ROOT}/delete_link", {"link_id": link_id})

    def acquisition_customers(self, *, link_id: str, cursor: str = "", limit: int = 1000) -> Page[LinkCustomer]:
        """One page (≤ 1000) of who came through a link. Official 97298."""
        answer = self._post(f"{ROOT}/customer", {"link_id": link_id, "cursor": cursor or None, "limit": limit})
        rows = [
            LinkCustomer(
                external_userid=str(row["external_userid"]),
                userid=str(row.get("userid") or ""),
                chat_status=ChatStatus(int(row.get("chat_status") or 0)),
                state=str(row.get("state") or ""),
            )
            for row in answer.get("customer_list") or []
        ]
        return Page(rows, cursor_of(answer))

    def acquisition_quota(self) -> AcquisitionQuota:
        """What is left of the quota. Official 97375."""
        answer = self._get("externalcontact/customer_acquisition_quota")
        parts = [
            QuotaPart(moment(row.get("expire_date")), int(row.get("balance") or 0))
            for row in answer.get("quota_list") or []
        ]
        return AcquisitionQuota(int(answer["total"]), int(answer["balance"]), tuple(parts))

    def acquisition_statistic(self, *, link_id: str, start: datetime, end: datetime) -> LinkStatistic:
        """Clicks and new customers of the days from start to end (≤ 30 days, within the last 180)."""
        body = {"link_id": link_id, "start_time": seconds(start), "end_time": seconds(end)}
        answer = self._post(f"{ROOT}/statistic", body)
        return LinkStatistic(int(answer.get("click_link_customer_cnt") or 0), int(answer.get("new_customer_cnt") or 0))

    def acquisition_chat(self, *, chat_key: str) -> LinkChat | None:
        """Whose message an event with this key (good for 30 min) was about; None when the key is over."""
        try:
            answer = self._post(f"{ROOT}/get_chat_info", {"chat_key": chat_key})
        except errors.Rejected:
            return None
        chat = answer.get("chat_info") or {}
        return LinkChat(
            userid=str(answer["userid"]),
            external_userid=str(answer["external_userid"]),
            messages=int(chat.get("recv_msg_cnt") or 0),
            link_id=str(chat.get("link_id") or ""),
            state=str(chat.get("state") or ""),
        )


def _changes(
    userids: Sequence[str] | None,
    department_ids: Sequence[int] | None,
    priority: int,
    priority_userids: Sequence[str],
) -> Json:
    changes: Json = {}
    if userids is not None or department_ids is not None:
        changes["range"] = {"user_list": list(userids or []), "department_list": list(department_ids or [])}
    if priority:
        listed = {"priority_userid_list": list(priority_userids)} if priority == PRIORITY_LISTED else {}
        changes["priority_option"] = {"priority_type": priority, **listed}
    return changes


def _link(answer: Json) -> AcquisitionLink:
    row, whom = answer["link"], answer.get("range") or {}
    priority = answer.get("priority_option") or {}
    return AcquisitionLink(
        link_id=str(row["link_id"]),
        name=str(row.get("link_name") or ""),
        url=str(row.get("url") or ""),
        created_at=moment(row.get("create_time")),
        skip_verify=bool(row.get("skip_verify", True)),
        userids=strings(whom.get("user_list")),
        department_ids=numbers(whom.get("department_list")),
        priority=int(priority.get("priority_type") or 0),
        priority_userids=strings(priority.get("priority_userid_list")),
    )

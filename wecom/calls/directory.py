"""Departments and members (reference §6), the app itself (§2.3)."""

from wecom.calls.base import Calls, Json, cursor_of, numbers, strings
from wecom.types import Agent, Department, Member, Membership, MemberStatus, Page


class DirectoryCalls(Calls):
    """通讯录, within the app's visible range."""

    def departments(self) -> list[Department]:
        """All departments that the app sees. Official 90208."""
        rows = self._get("department/list").get("department") or []
        return [Department(int(row["id"]), str(row.get("name") or ""), int(row.get("parentid") or 0)) for row in rows]

    def department_users(self, *, department_id: int) -> list[Member]:
        """The members directly in a department."""
        rows = self._get("user/list", department_id=department_id).get("userlist") or []
        return [_member(row) for row in rows]

    def memberships(self, *, cursor: str = "", limit: int = 10_000) -> Page[Membership]:
        """One page (≤ 10,000) of who is in which department, for the app with the contact-sync secret only."""
        answer = self._post("user/list_id", {"cursor": cursor or None, "limit": limit})
        rows = [Membership(str(row["userid"]), int(row["department"])) for row in answer.get("dept_user") or []]
        return Page(rows, cursor_of(answer))

    def user(self, *, userid: str) -> Member:
        """One member. Raises Gone when there is none or the app does not see them."""
        return _member(self._get("user/get", userid=userid))

    def agent(self, *, agent_id: int) -> Agent:
        """The app of this secret and its visible range. Raises Misconfigured when the id is another app's."""
        row = self._get("agent/get", agentid=agent_id)
        users = (row.get("allow_userinfos") or {}).get("user") or []
        return Agent(
            agent_id=int(row.get("agentid") or agent_id),
            name=str(row.get("name") or ""),
            userids=tuple(str(each["userid"]) for each in users),
            department_ids=numbers((row.get("allow_partys") or {}).get("partyid")),
            tag_ids=numbers((row.get("allow_tags") or {}).get("tagid")),
            closed=bool(row.get("close")),
        )

    def callback_addresses(self) -> tuple[str, ...]:
        """The addresses that WeCom's callbacks come from: for a firewall. Official 90930."""
        return strings(self._get("getcallbackip").get("ip_list"))

    def api_addresses(self) -> tuple[str, ...]:
        """The addresses of WeCom's API: for a firewall."""
        return strings(self._get("get_api_domain_ip").get("ip_list"))


def _member(row: Json) -> Member:
    departments = tuple(int(each) for each in row.get("department") or [])
    return Member(
        userid=str(row["userid"]),
        name=str(row.get("name") or row["userid"]),
        departments=departments,
        main_department=int(row.get("main_department") or (departments[0] if departments else 0)),
        status=int(row.get("status") or MemberStatus.ACTIVE),
    )

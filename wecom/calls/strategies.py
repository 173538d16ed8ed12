"""规则组: which parts of the corp have rules of their own (reference §7.7). Read only: admins keep them in WeCom."""

from wecom.calls.base import Calls, cursor_of, moment, strings
from wecom.types import Page, Strategy, StrategyRange

ROOT = "externalcontact/customer_strategy"
MEMBER = 1


class StrategyCalls(Calls):
    """客户联系规则组. One call at a time per corp, else 45035, which is tried again."""

    def strategies(self, *, cursor: str = "", limit: int = 1000) -> Page[int]:
        """One page (≤ 1000) of rule groups' ids. Official 94883."""
        answer = self._post(f"{ROOT}/list", {"cursor": cursor or None, "limit": limit})
        return Page([int(row["strategy_id"]) for row in answer.get("strategy") or []], cursor_of(answer))

    def strategy(self, *, strategy_id: int) -> Strategy:
        """One rule group and what its members may do."""
        row = self._post(f"{ROOT}/get", {"strategy_id": strategy_id})["strategy"]
        return Strategy(
            id=int(row["strategy_id"]),
            parent_id=int(row.get("parent_id") or 0),
            name=str(row.get("strategy_name") or ""),
            created_at=moment(row.get("create_time")),
            admins=strings(row.get("admin_list")),
            privileges=frozenset(name for name, granted in (row.get("privilege") or {}).items() if granted),
        )

    def strategy_range(self, *, strategy_id: int, cursor: str = "", limit: int = 1000) -> Page[StrategyRange]:
        """One page (≤ 1000) of the members and departments a rule group covers."""
        body = {"strategy_id": strategy_id, "cursor": cursor or None, "limit": limit}
        answer = self._post(f"{ROOT}/get_range", body)
        rows = [
            StrategyRange(userid=str(row["userid"]))
            if int(row.get("type") or 0) == MEMBER
            else StrategyRange(department_id=int(row["partyid"]))
            for row in answer.get("range") or []
        ]
        return Page(rows, cursor_of(answer))

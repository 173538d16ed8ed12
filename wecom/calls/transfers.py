"""Handing customers and groups over, from members at work and from those who left (reference §11.3, §14).

Starting a hand-over is never repeated: after OutcomeUnknown `wecom.reconcile` compares the customers."""

from collections.abc import Sequence

from wecom.calls.base import Calls, Json, cursor_of, moment, refusals
from wecom.policy import policy_of
from wecom.types import ItemRefusal, Page, Transfer, TransferStart, TransferStatus, Unassigned

ON_JOB, RESIGNED = "externalcontact", "externalcontact/resigned"
GROUP_DONE = frozenset({90504, 90507, 90508})
"""the owner is that one already, or becomes so"""


class TransferCalls(Calls):
    """在职继承、离职继承."""

    def transfer_customers(
        self, *, handover: str, takeover: str, external_userids: Sequence[str], message: str = ""
    ) -> list[TransferStart]:
        """Begin to hand up to 100 customers over between members at work; done in 24 h unless a customer refuses.

        `message` (≤ 200 chars) is shown to them, WeCom's own text when empty. One answer per customer: a refusal of
        one does not stop the others. Never repeated: maybe OutcomeUnknown. Official 92125."""
        body = {
            "handover_userid": handover,
            "takeover_userid": takeover,
            "external_userid": list(external_userids),
            "transfer_success_msg": message or None,
        }
        return self._started(f"{ON_JOB}/transfer_customer", body)

    def transfer_resigned_customers(
        self, *, handover: str, takeover: str, external_userids: Sequence[str]
    ) -> list[TransferStart]:
        """The same for a member who left within the last year. Never repeated: maybe OutcomeUnknown. Official 94081."""
        body = {
            "handover_userid": handover,
            "takeover_userid": takeover,
            "external_userid": list(external_userids),
        }
        return self._started(f"{RESIGNED}/transfer_customer", body)

    def transfer_results(
        self, *, handover: str, takeover: str, resigned: bool = False, cursor: str = ""
    ) -> Page[Transfer]:
        """One page (≤ 1000) of what became of the customers handed over from one to the other. 94088, 94082."""
        api = f"{RESIGNED if resigned else ON_JOB}/transfer_result"
        body = {"handover_userid": handover, "takeover_userid": takeover, "cursor": cursor or None}
        answer = self._post(api, body)
        rows = [
            Transfer(str(row["external_userid"]), TransferStatus(int(row["status"])), moment(row.get("takeover_time")))
            for row in answer.get("customer") or []
        ]
        return Page(rows, cursor_of(answer))

    def unassigned(self, *, cursor: str = "", limit: int = 1000) -> Page[Unassigned]:
        """One page (≤ 1000) of the customers of members who left, not assigned yet. Official 92124."""
        answer = self._post("externalcontact/get_unassigned_list", {"cursor": cursor or None, "page_size": limit})
        rows = [
            Unassigned(str(row["handover_userid"]), str(row["external_userid"]), moment(row.get("dimission_time")))
            for row in answer.get("info") or []
        ]
        # The older paging ends by is_last; with a cursor an empty next one is the end.
        return Page(rows, cursor_of(answer))

    def transfer_groups(self, *, chat_ids: Sequence[str], new_owner: str, resigned: bool = True) -> list[ItemRefusal]:
        """Give up to 100 groups another owner; returns those that were refused (already done is no refusal).

        `resigned`: whether the old owner has left; the two are calls of their own. Never repeated: maybe
        OutcomeUnknown, then the owner of `group_chat` tells. Official 92127, 95703."""
        api = f"externalcontact/groupchat/{'transfer' if resigned else 'onjob_transfer'}"
        answer = self._post_once(api, {"chat_id_list": list(chat_ids), "new_owner": new_owner})
        return refusals(answer.get("failed_chat_list"), key="chat_id", api=api, harmless=GROUP_DONE)

    def _started(self, api: str, body: Json) -> list[TransferStart]:
        answer = self._post_once(api, body)
        starts = []
        for row in answer["customer"]:
            errcode = int(row.get("errcode") or 0)
            code = policy_of(errcode).code if errcode else ""
            starts.append(TransferStart(str(row["external_userid"]), errcode, code))
        return starts

"""联系我: codes that lead to members (reference §9)."""

from collections.abc import Sequence
from datetime import datetime

from wecom import errors
from wecom.calls.base import Calls, Json, cursor_of, numbers, seconds, strings
from wecom.types import ContactWay, ContactWayDetail, Page

SINGLE, SEVERAL = 1, 2
MINI_PROGRAM, QR_CODE = 1, 2


class ContactWayCalls(Calls):
    """联系我."""

    def add_contact_way(
        self,
        *,
        userids: Sequence[str],
        department_ids: Sequence[int] = (),
        state: str = "",
        remark: str = "",
        skip_verify: bool = True,
        is_exclusive: bool = False,
        scene: int = QR_CODE,
    ) -> ContactWay:
        """A QR code that leads to one or several members (≤ 100). `state`, `remark` ≤ 30 chars; `is_exclusive`: a
        customer can add only one of several. Never repeated: maybe OutcomeUnknown, then wecom.reconcile finds it.

        Official 92228."""
        single = len(userids) == 1 and not department_ids
        body: Json = {
            "type": SINGLE if single else SEVERAL,
            "scene": scene,
            "user": list(userids),
            "party": list(department_ids) or None,
            "state": state or None,
            "remark": remark or None,
            "skip_verify": skip_verify,
            "is_exclusive": True if is_exclusive and not single else None,
        }
        return self._made(body)

    def add_temporary_contact_way(
        self,
        *,
        userid: str,
        state: str = "",
        unionid: str = "",
        expires_in: int | None = None,
        chat_expires_in: int | None = None,
        conclusions: Json | None = None,
    ) -> ContactWay:
        """A code for one add and a session that ends (medical industry only); `unionid`: nobody else may use it.

        Times in seconds (≤ 14 days). `conclusions`: the closing message as the reference has it. Never repeated."""
        body: Json = {
            "type": SINGLE,
            "scene": QR_CODE,
            "user": [userid],
            "is_temp": True,
            "state": state or None,
            "unionid": unionid or None,
            "expires_in": expires_in,
            "chat_expires_in": chat_expires_in,
            "conclusions": conclusions,
        }
        return self._made(body)

    def contact_way(self, *, config_id: str) -> ContactWayDetail:
        """A code as it is. Raises Gone `wecom.code_gone`."""
        row = self._post("externalcontact/get_contact_way", {"config_id": config_id})["contact_way"]
        return ContactWayDetail(
            config_id=str(row.get("config_id") or config_id),
            kind=int(row.get("type") or 0),
            scene=int(row.get("scene") or 0),
            remark=str(row.get("remark") or ""),
            skip_verify=bool(row.get("skip_verify", True)),
            state=str(row.get("state") or ""),
            qr_code=str(row.get("qr_code") or ""),
            userids=strings(row.get("user")),
            department_ids=numbers(row.get("party")),
            is_temporary=bool(row.get("is_temp")),
            expires_in=int(row.get("expires_in") or 0),
            chat_expires_in=int(row.get("chat_expires_in") or 0),
            unionid=str(row.get("unionid") or ""),
            is_exclusive=bool(row.get("is_exclusive")),
        )

    def contact_ways(
        self, *, start: datetime | None = None, end: datetime | None = None, cursor: str = "", limit: int = 1000
    ) -> Page[str]:
        """One page (≤ 1000) of the config_ids of codes made by API between start (90 days ago) and end (now); no
        temporary ones."""
        body = {
            "start_time": None if start is None else seconds(start),
            "end_time": None if end is None else seconds(end),
            "cursor": cursor or None,
            "limit": limit,
        }
        answer = self._post("externalcontact/list_contact_way", body)
        return Page([str(row["config_id"]) for row in answer.get("contact_way") or []], cursor_of(answer))

    def update_contact_way(
        self,
        *,
        config_id: str,
        userids: Sequence[str] | None = None,
        department_ids: Sequence[int] | None = None,
        state: str | None = None,
        remark: str | None = None,
        skip_verify: bool | None = None,
    ) -> None:
        """Change what is not None; lists are replaced as a whole, the image stays the same."""
        body = {
            "config_id": config_id,
            "user": None if userids is None else list(userids),
            "party": None if department_ids is None else list(department_ids),
            "state": state,
            "remark": remark,
            "skip_verify": skip_verify,
        }
        self._post("externalcontact/update_contact_way", body)

    def delete_contact_way(self, *, config_id: str) -> None:
        """The code shows as invalid from then on; one that is gone already is fine."""
        try:
            self._post("externalcontact/del_contact_way", {"config_id": config_id})
        except errors.Gone as gone:
            if gone.problem_code != "wecom.code_gone":
                raise

    def close_temporary_chat(self, *, userid: str, external_userid: str) -> None:
        """End a temporary session, which sends its closing message. Never repeated: maybe OutcomeUnknown."""
        self._post_once("externalcontact/close_temp_chat", {"userid": userid, "external_userid": external_userid})

    def _made(self, body: Json) -> ContactWay:
        answer = self._post_once("externalcontact/add_contact_way", body)
        return ContactWay(str(answer["config_id"]), str(answer.get("qr_code") or ""))

"""The same person or thing under other names (reference §5.3, §7.6). Converting changes nothing: may be repeated."""

from collections.abc import Sequence
from typing import Any, Literal

from wecom.calls.base import Calls, strings
from wecom.types import ConvertedIds, CrossIdentity

CORP: Literal[0] = 0


class IdentityCalls(Calls):
    """ID 转换."""

    def external_userid_of(self, *, unionid: str, openid: str, subject: Literal[0, 1] = CORP) -> CrossIdentity:
        """Who a WeChat user of the brand's mini program or official account is. `subject`: whose that is, the corp's
        (0) or the provider's (1). Needs both ids from the same one. Raises Misconfigured when it is not bound to the
        corp, Gone for a bad unionid."""
        body = {"unionid": unionid, "openid": openid, "subject_type": subject}
        answer = self._post("idconvert/unionid_to_external_userid", body)
        return CrossIdentity(str(answer.get("external_userid") or ""), str(answer.get("pending_id") or ""))

    def pending_ids(self, *, external_userids: Sequence[str], chat_id: str = "") -> ConvertedIds:
        """external_userid → pending_id of up to 100 people who became customers, or members of a group, lately."""
        body = {"external_userid": list(external_userids), "chat_id": chat_id or None}
        answer = self._post("idconvert/batch/external_userid_to_pending_id", body)
        return _converted(answer.get("result"), "external_userid", "pending_id", asked=external_userids)

    def openid_of(self, *, external_userid: str) -> str:
        """The openid for payments of a customer who is a WeChat user."""
        return str(self._post("externalcontact/convert_to_openid", {"external_userid": external_userid})["openid"])

    def chat_of(self, *, opengid: str) -> str:
        """The chat_id of a group by the id that the mini program saw. Raises Gone for a bad or foreign one."""
        return str(self._post("externalcontact/opengid_to_chatid", {"opengid": opengid})["chat_id"])

    # -- between a corp's own apps and providers' (reference §5.3) --

    def upgraded_external_userids(self, *, external_userids: Sequence[str], chat_id: str = "") -> ConvertedIds:
        """The corp's external_userid → the provider's, for up to 1000 customers, or members of one group who are
        nobody's customers. An app of a provider asks."""
        body: dict[str, Any] = {"external_userid_list": list(external_userids)}
        if chat_id:
            answer = self._post("externalcontact/groupchat/get_new_external_userid", {"chat_id": chat_id, **body})
        else:
            answer = self._post("externalcontact/get_new_external_userid", body)
        return _converted(answer.get("items"), "external_userid", "new_external_userid", asked=external_userids)

    def external_userid_from_provider(self, *, external_userid: str, agent_id: int) -> str:
        """The corp's id for a provider's; the corp's own app asks, `agent_id` is the provider's app."""
        body = {"external_userid": external_userid, "source_agentid": agent_id}
        return str(self._post("externalcontact/from_service_external_userid", body)["external_userid"])

    def open_tag_ids(self, *, tag_ids: Sequence[str]) -> ConvertedIds:
        """The corp's tag id → the provider's. An app of a provider asks."""
        answer = self._post("idconvert/external_tagid", {"external_tagid_list": list(tag_ids)})
        return _converted(
            answer.get("items"), "external_tagid", "open_external_tagid", answer.get("invalid_external_tagid_list")
        )

    def open_userids(self, *, userids: Sequence[str]) -> ConvertedIds:
        """The corp's userid → the provider's, for up to 1000 members. An app of a provider asks."""
        answer = self._post("batch/userid_to_openuserid", {"userid_list": list(userids)})
        return _converted(answer.get("open_userid_list"), "userid", "open_userid", answer.get("invalid_userid_list"))

    def userids_from_provider(self, *, open_userids: Sequence[str], agent_id: int) -> ConvertedIds:
        """The provider's userid → the corp's, for up to 1000 members; the corp's own app asks."""
        body = {"open_userid_list": list(open_userids), "source_agentid": agent_id}
        answer = self._post("batch/openuserid_to_userid", body)
        return _converted(answer.get("userid_list"), "open_userid", "userid", answer.get("invalid_open_userid_list"))


def _converted(rows: Any, old: str, new: str, unknown: Any = None, asked: Sequence[str] = ()) -> ConvertedIds:
    found = {str(row[old]): str(row[new]) for row in rows or [] if row.get(new)}
    return ConvertedIds(found, strings(unknown) or tuple(each for each in asked if each not in found))

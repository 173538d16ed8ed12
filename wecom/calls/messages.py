"""Messages of the app to members: texts and template cards (reference §18)."""

from collections.abc import Mapping, Sequence
from typing import Any

from wecom import errors
from wecom.calls.base import Calls, Json
from wecom.types import AppMessage


class MessageCalls(Calls):
    """应用消息. Sending is never repeated: maybe OutcomeUnknown, and nobody can find out; WeCom lists no messages."""

    agent_id: int = 0

    def send_app_message(self, *, userids: Sequence[str], text: str) -> AppMessage:
        """A text (≤ 2048 bytes) from the app to up to 1000 members. Never repeated. Official 90236."""
        return self._sent(userids, "text", {"content": text})

    def send_text_card(
        self, *, userids: Sequence[str], title: str, description: str, url: str, button: str = ""
    ) -> AppMessage:
        """A card with a link: title ≤ 128 chars, description ≤ 512, button ≤ 4. Never repeated."""
        card = {"title": title, "description": description, "url": url, **({"btntxt": button} if button else {})}
        return self._sent(userids, "textcard", card)

    def send_card(self, *, userids: Sequence[str], card: Mapping[str, Any]) -> AppMessage:
        """A template card as the reference has it (`card_type` and its parts). One with buttons or a menu needs a
        task_id of its own and comes back with a response_code. Never repeated."""
        return self._sent(userids, "template_card", dict(card))

    def update_card(
        self,
        *,
        response_code: str,
        button: str = "",
        card: Mapping[str, Any] | None = None,
        userids: Sequence[str] = (),
    ) -> tuple[str, ...]:
        """Change a card that was sent or answered, for these members or for everybody: its button's text, or all of it.

        Returns userids that were refused. A response_code is good once, for 72 h: never repeated."""
        change: Json = {"template_card": dict(card)} if card else {"button": {"replace_name": button}}
        whom: Json = {"userids": list(userids)} if userids else {"atall": 1}
        body = {"agentid": self.agent_id, "response_code": response_code, **whom, **change}
        return _userids(self._post_once("message/update_template_card", body).get("invaliduser"))

    def recall_app_message(self, *, msgid: str) -> bool:
        """Take a message of the last 24 h back; False when WeCom no longer can. A repeat is harmless."""
        try:
            self._post("message/recall", {"msgid": msgid})
        except errors.Rejected:
            return False
        return True

    def _sent(self, userids: Sequence[str], kind: str, what: Json) -> AppMessage:
        body = {"touser": "|".join(userids), "msgtype": kind, "agentid": self.agent_id, kind: what}
        answer = self._post_once("message/send", body)
        return AppMessage(
            msgid=str(answer.get("msgid") or ""),
            invalid_userids=_userids(answer.get("invaliduser")),
            response_code=str(answer.get("response_code") or ""),
        )


def _userids(told: Any) -> tuple[str, ...]:
    """WeCom joins ids by bars here; some answers give a list."""
    if isinstance(told, list):
        return tuple(str(each) for each in told)
    return tuple(each for each in str(told or "").split("|") if each)

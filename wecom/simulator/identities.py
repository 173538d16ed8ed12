"""Who is who for a provider (reference §5.3): its own corpid, userids, external_userids and tag ids for each corp.

A provider's call is translated before it is carried out, its answer afterwards, so that no endpoint needs to know. A
corp's own id in a provider's call names nobody, as with WeCom.
"""

from __future__ import annotations

from typing import Any

from wecom.simulator.world import Corp, opaque_id

# Keys under which people write text, where a word that looks like an id is none.
TEXT_KEYS = frozenset(
    {
        "name",
        "remark",
        "description",
        "content",
        "title",
        "desc",
        "text",
        "notice",
        "group_nickname",
        "errmsg",
        "url",
        "state",
        "group_name",
        "tag_name",
        "strategy_name",
        "rule_name",
        "word_list",
        "product_sn",
        "remark_company",
        "remark_corp_name",
        "link_name",
        "customer_channel",
        "position",
        "alias",
        "cursor",
        "next_cursor",
        "msgid",
        "moment_id",
        "jobid",
        "media_id",
        "config_id",
        "chat_id",
        "welcome_code",
        "secret",
    }
)
HIDDEN = ("avatar", "gender", "unionid", "remark_mobiles")  # not for providers
NAMED_PATHS = ("user/", "tag/")
STRANGER = "\ue000"  # marks a corp's own id in a provider's call, so that nothing is found under it
JOINED = ("touser", "invaliduser", "unlicenseduser")  # ids joined by |


class View:
    """What one provider sees of one corp."""

    def __init__(self, provider: str, corp: Corp) -> None:
        self._key = f"{provider}:{corp.seed}"
        self._corp = corp
        self._outward: dict[str, str] = {}
        self._inward: dict[str, str] = {}
        self._complete = False
        self.corpid = opaque_id("wp", f"{self._key}:corpid", 32)

    def outward(self, plain: str, *, corp_subject: bool = False) -> str:
        """The provider's name for a corp's id; any other text stays as it is."""
        if corp_subject and plain not in self._corp.members:
            return plain
        known = self._outward.get(plain)
        if known is None:
            prefix = self._prefix(plain)
            if prefix is None:
                return plain
            known = self._outward[plain] = opaque_id(prefix, f"{self._key}:{plain}", 32)
            self._inward[known] = plain
        return known

    def inward(self, given: str, *, corp_subject: bool = False) -> str:
        """The corp's id behind the provider's; the corp's own ids come out as strangers."""
        known = self._inward.get(given)
        if known is None and not self._complete and given[:2] in ("wo", "wm", "et"):
            self._know_everybody()
            known = self._inward.get(given)
        if known is not None:
            return known
        if self._prefix(given) is None or (corp_subject and given not in self._corp.members):
            return given
        return STRANGER + given

    def event(self, value: Any, corp_subject: bool) -> Any:
        """A field of an event in the provider's ids."""
        if isinstance(value, list):
            return [self.event(each, corp_subject) for each in value]
        if isinstance(value, tuple):
            return (value[0], self.event(value[1], corp_subject))
        return self.outward(value, corp_subject=corp_subject) if isinstance(value, str) else value

    def request(self, value: Any, *, key: str = "", corp_subject: bool = False) -> Any:
        """A request's JSON in the corp's ids."""
        if isinstance(value, dict):
            return {name: self.request(each, key=str(name), corp_subject=corp_subject) for name, each in value.items()}
        if isinstance(value, list):
            return [self.request(each, key=key, corp_subject=corp_subject) for each in value]
        if not isinstance(value, str) or key in TEXT_KEYS:
            return value
        if key in JOINED:
            return "|".join(self.inward(each, corp_subject=corp_subject) for each in value.split("|"))
        return self.inward(value, corp_subject=corp_subject)

    def answer(self, value: Any, *, path: str, key: str = "", corp_subject: bool = False) -> Any:
        """An answer's JSON in the provider's ids, without what providers are not told."""
        if isinstance(value, dict):
            shown = {
                name: self.answer(each, path=path, key=str(name), corp_subject=corp_subject)
                for name, each in value.items()
                if name not in HIDDEN or path.startswith("auth/")
            }
            staff = path.startswith(NAMED_PATHS) or value.get("type") == 1
            if staff and "name" in shown and value.get("userid") in self._corp.members:
                shown["name"] = shown["userid"]
            return shown
        if isinstance(value, list):
            return [self.answer(each, path=path, key=key, corp_subject=corp_subject) for each in value]
        if not isinstance(value, str) or key in TEXT_KEYS:
            return value
        if key in JOINED:
            return "|".join(self._back(each, corp_subject) for each in value.split("|"))
        return self._back(value, corp_subject)

    def _back(self, value: str, corp_subject: bool) -> str:
        if value.startswith(STRANGER):
            return value.removeprefix(STRANGER)
        return self.outward(value, corp_subject=corp_subject)

    def _prefix(self, plain: str) -> str | None:
        corp = self._corp
        if plain in corp.members or plain in corp.left:
            return "wo"
        if plain in corp.customers:
            return "wm"
        return "et" if plain in corp.tags or plain in corp.tag_groups else None

    def _know_everybody(self) -> None:
        """After a restart: learn all ids at once; those given out later are noted as they are."""
        self._complete = True
        corp = self._corp
        for table in (corp.members, corp.left, corp.customers, corp.tags, corp.tag_groups):
            for each in table:
                self.outward(each)


class Identities:
    """The views of all providers, made when first asked for."""

    def __init__(self) -> None:
        self._views: dict[tuple[str, str], View] = {}

    def of(self, provider: str, corp: Corp) -> View:
        """What the provider sees of the corp."""
        key = (provider, corp.corpid)
        if key not in self._views:
            self._views[key] = View(provider, corp)
        return self._views[key]

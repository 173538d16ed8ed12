"""WeCom's error codes (reference §22) and the shape of an error message (§1)."""

from __future__ import annotations

import random
from typing import Any

TEXTS = {
    -1: "system busy",
    40001: "invalid credential",
    40003: "invalid userid",
    40004: "invalid media file type",
    40005: "invalid media type",
    40006: "invalid file size",
    40007: "invalid media_id",
    40009: "invalid image size",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40033: "invalid charset",
    40035: "invalid parameter",
    40056: "invalid agentid",
    40057: "invalid callbackurl",
    40058: "invalid Request Parameter",
    40063: "some parameters are empty",
    40068: "invalid tagid",
    40071: "tag name already exists",
    40072: "invalid tag name length",
    40096: "invalid external userid",
    40126: "too many corp tags",
    41001: "access_token missing",
    41002: "corpid missing",
    41004: "corpsecret missing",
    41006: "media_id missing",
    41009: "userid missing",
    41011: "agentid missing",
    41033: "description missing",
    41035: "missing external userid",
    41037: "missing contact way type",
    41038: "missing contact way scene",
    41039: "invalid contact way type",
    41040: "invalid contact way scene",
    41041: "too many contact way members",
    41042: "invalid contact way style",
    41043: "missing config_id",
    41044: "invalid config_id",
    41045: "too many contact ways",
    41046: "missing msgid",
    41047: "invalid msgid",
    41048: "no customer to send",
    41049: "missing welcome_code",
    41050: "invalid welcome_code",
    41051: "customer already chatted or welcome already sent",
    41054: "member not activated",
    41059: "missing moment_id",
    41060: "invalid moment_id",
    41061: "moment does not belong to this member",
    41062: "moment not published by this member",
    41063: "group message is being dispatched",
    41064: "too many attachments",
    41065: "invalid attachment type",
    41067: "invalid moment type",
    41072: "attachment used in wrong scene",
    41080: "invalid attachment size",
    41089: "moment text and attachments are both empty",
    41090: "invalid mp4 file",
    41093: "group message task cancelled",
    41094: "remind too often",
    42001: "access_token expired",
    44001: "empty media data",
    44004: "empty content",
    45001: "media size out of limit",
    45002: "content size out of limit",
    45007: "voice too long",
    45008: "article count out of limit",
    45009: "api freq out of limit",
    45033: "api concurrent out of limit",
    45034: "url without scheme",
    45035: "conflicting concurrent operation",
    48002: "api forbidden",
    50100: "invalid cursor",
    60003: "department not found",
    60011: "no privilege to access/modify contact/party/agent",
    60020: "not allow to access from your ip",
    60111: "userid not found",
    81011: "no privilege to operate this tag",
    81012: "no receiver given",
    81013: "user & party & tag all invalid",
    81017: "too many items requested",
    84061: "not external contact",
    84074: "no external contact right",
    84084: "not a follower",
    90501: "not a customer group",
    301002: "not allow to operate another agent with this access_token",
    610014: "invalid unionid",
    830002: "range too large",
}

NO_HINT = {40014, 0}


class Refused(Exception):
    """A call that WeCom answers with an errcode. `fields` are added to the answer's body."""

    def __init__(self, errcode: int, text: str | None = None, **fields: Any) -> None:
        super().__init__(errcode)
        self.errcode = errcode
        self.text = text
        self.fields = fields


def message(errcode: int, text: str | None, *, ip: str) -> str:
    """The errmsg of an error: text, hint, the caller's address and a link. Nothing to branch on."""
    words = text or TEXTS.get(errcode, "error")
    if errcode in NO_HINT:
        return words
    hint = random.randrange(10**21, 10**22)
    return (
        f"{words}, hint: [{hint}], from ip: {ip}, "
        f"more info at https://open.work.weixin.qq.com/devtool/query?e={errcode}"
    )

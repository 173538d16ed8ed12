"""Who logs in to a mini-program: identities that a platform vouches for, shown together.

For a provider's app WeCom tells no unionid of its customers. So the link is made from the other side: the log-in gives
unionid and openid, the provider's idconvert call (api-reference, "unionid 转 external_userid") gives the
external_userid of somebody who is a customer already, else a pending_id. That is kept with the visitor, and redeemed
when the customer of that pending_id appears."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from contacts.models import Identity
from contacts.oneid.identity import Claim, Key, attach, key_of, resolve
from contacts.oneid.strengths import is_strong
from events.spelling import canonical
from scrm.lib.errors import FieldError, Invalid

MOST = 10
"""identities in one log-in"""


def link(*, refs: Sequence[Mapping[str, Any]], at: datetime, source: str = "mini_program") -> int:
    """The contact of identities that the caller vouches for to be one person; made if nobody is known. Scoped.

    `refs` as for `identity.find`: [{"unionid": …}, {"openid": …, "appid": …}, {"pending_id": …, "corpid": …}].
    Contacts that turn out to be one are merged. Raises Invalid unless there is a strong identity among them."""
    if not 0 < len(refs) <= MOST:
        raise _bad("identities", _("一次给出 1–%d 种身份。") % MOST)
    keys = list(dict.fromkeys(key_of(ref) for ref in refs))
    if not any(is_strong(type_) for type_, _value in keys):
        raise _bad("identities", _("至少要有一种强身份，如 unionid 或 openid。"))
    keys.sort(key=lambda key: not is_strong(key[0]))
    return attach(claims=[Claim(tuple(keys))], at=at, source=source).contact_ids[0]


def redeem(*, corpid: str, found: Mapping[str, str], at: datetime) -> int:
    """WeCom says which external_userid a pending_id has become: {pending_id: external_userid}. Scoped, set-based.

    The visitors who wait with these pending_ids are those customers. How many were known; a repeat changes nothing."""
    waiting = {(Identity.Type.PENDING_ID.value, canonical("pending_id", each, scope=corpid)): each for each in found}
    owners = resolve(waiting)
    strong: dict[int, Key] = {}
    rows = Identity.objects.filter(contact__in=set(owners.values())).order_by("-first_seen_at")
    for contact, type_, value in rows.values_list("contact_id", "type", "value"):
        if is_strong(type_):
            strong[contact] = (type_, value)  # the one known longest
    claims = [
        Claim(
            (
                (
                    Identity.Type.EXTERNAL_USERID.value,
                    canonical("external_userid", found[waiting[key]], scope=corpid),
                ),
                strong[owner],
            )
        )
        for key, owner in owners.items()
        if owner in strong
    ]
    if claims:
        attach(claims=claims, at=at, source="wecom")
    return len(claims)


def _bad(field: str, message: str) -> Invalid:
    return Invalid(_("客户标识不正确。"), errors=[FieldError(field, "identity.bad", message)])

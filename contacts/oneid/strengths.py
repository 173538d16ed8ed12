"""How much each identity type proves.

A **strong** identity is one person: contacts that are shown with the same one are united. A **weak** one (a phone
somebody typed into an order, a device that a family shares) finds its contact, but never unites two.

A strong type that is **single** can have one value per person (in its corp or app): another value beside it says that
these are two people, whatever else says that they are one. Then nobody is united, and an operator decides.

An attribute is not an identity: the phone number that guides note of a customer (`Contact.phone`) proves nothing."""

from contacts.models import Identity

Type = Identity.Type

STRENGTH: dict[str, float] = {
    Type.UNIONID: 1.0,
    Type.EXTERNAL_USERID: 1.0,
    Type.PHONE: 0.95,
    Type.OPENID: 0.9,
    Type.MEMBER_ID: 0.9,
    Type.ORDER_PHONE: 0.8,
    Type.PENDING_ID: 0.5,
    Type.DEVICE: 0.4,
}
"""`phone` is a verified one: the person received a code there, or the platform vouches for it."""

STRONG = 0.9
SINGLE: frozenset[str] = frozenset({Type.UNIONID, Type.EXTERNAL_USERID, Type.OPENID, Type.MEMBER_ID})
"""One value per person: a unionid in the brand's platform, an external_userid in a corp, an openid in an app."""


def is_strong(type_: str) -> bool:
    """Whether the same value is the same person."""
    return STRENGTH[type_] >= STRONG


def slot(type_: str, value: str) -> str:
    """What a person can fill once: "unionid", "external_userid:ww1"; "" for types with any number of values."""
    if type_ not in SINGLE:
        return ""
    return f"{type_}:{value.partition(':')[0]}" if type_ in (Type.EXTERNAL_USERID, Type.OPENID) else str(type_)

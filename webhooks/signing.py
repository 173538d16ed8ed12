"""Signatures as Standard Webhooks has them (https://www.standardwebhooks.com), so that receivers need no code of ours.

`webhook-signature: v1,<base64 of HMAC-SHA256 over "id.timestamp.body">`, one per secret, separated by spaces."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from uuid import UUID

PREFIX = "whsec_"


def new_secret() -> str:
    """24 random bytes in base64 behind `whsec_`."""
    return PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def headers(*, id: UUID, timestamp: int, body: bytes, with_secrets: Iterable[str]) -> dict[str, str]:
    """The three headers. `timestamp` in seconds is of this attempt: receivers refuse old ones."""
    signed = f"{id}.{timestamp}.".encode() + body
    signatures = [_signature(secret, signed) for secret in with_secrets]
    return {"webhook-id": str(id), "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(signatures)}


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()

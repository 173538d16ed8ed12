"""Secrets at rest: encrypted with Fernet under the keys of ORCHARD_SECRET_KEYS; the first encrypts, all decrypt."""

import hashlib
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


def encrypt(plain: str) -> str:
    """The text, encrypted under the newest key."""
    return _fernet(tuple(settings.ORCHARD_SECRET_KEYS)).encrypt(plain.encode()).decode()


def decrypt(token: str) -> str:
    """The text again. Raises RuntimeError naming the setting when no key fits."""
    try:
        return _fernet(tuple(settings.ORCHARD_SECRET_KEYS)).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise RuntimeError("A stored secret fits none of ORCHARD_SECRET_KEYS: put its old key back.") from error


def reencrypt(token: str) -> str:
    """The same secret under the newest key, for `manage.py rotate_secrets`."""
    return _fernet(tuple(settings.ORCHARD_SECRET_KEYS)).rotate(token.encode()).decode()


class EncryptedField(models.TextField):
    """A text that is plain in Python and encrypted in the database; it can't be searched. Empty stays empty."""

    def from_db_value(self, value: str | None, *_context: Any) -> str | None:
        """Decrypt on reading."""
        return decrypt(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        """Encrypt on writing."""
        return encrypt(value) if value else value


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    # Operators choose any long text as a key; Fernet wants 32 bytes.
    return MultiFernet([Fernet(urlsafe_b64encode(hashlib.sha256(key.encode()).digest())) for key in keys])

"""Callback cipher and signature (加解密方案说明, 90968): AES-256-CBC, PKCS#7 to 32 bytes, SHA-1 signature."""

from __future__ import annotations

import base64
import hashlib
import os
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 32  # bytes; the padding block, twice that of AES


def signature(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    """msg_signature: lower-case hex SHA-1 over the four strings, sorted and joined."""
    return hashlib.sha1("".join(sorted([token, timestamp, nonce, encrypted])).encode()).hexdigest()


def encrypt(message: str, *, aes_key: str, receiveid: str, prefix: bytes | None = None) -> str:
    """Base64 of the encrypted message. `aes_key` has 43 characters; `prefix` (16 bytes) is random unless given."""
    body = message.encode()
    plain = (prefix or os.urandom(16)) + struct.pack(">I", len(body)) + body + receiveid.encode()
    pad = BLOCK - len(plain) % BLOCK
    encryptor = _cipher(aes_key).encryptor()
    return base64.b64encode(encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()).decode()


def decrypt(encrypted: str, *, aes_key: str) -> tuple[str, str]:
    """(message, receiveid). Raises ValueError when the text is not what this key encrypted."""
    plain = _plain(encrypted, aes_key=aes_key)
    (length,) = struct.unpack(">I", plain[16:20])
    if length > len(plain) - 20:
        raise ValueError("bad message length")
    return plain[20 : 20 + length].decode(), plain[20 + length :].decode()


def decrypt_prefix(encrypted: str, *, aes_key: str) -> bytes:
    """The 16 random bytes in front of a message. Raises ValueError."""
    return _plain(encrypted, aes_key=aes_key)[:16]


def _plain(encrypted: str, *, aes_key: str) -> bytes:
    decryptor = _cipher(aes_key).decryptor()
    padded = decryptor.update(base64.b64decode(encrypted, validate=True)) + decryptor.finalize()
    pad = padded[-1] if padded else 0
    if not 1 <= pad <= BLOCK or len(padded) < pad + 20:
        raise ValueError("bad padding")
    return padded[:-pad]


def _cipher(aes_key: str) -> Cipher[modes.CBC]:
    key = base64.b64decode(aes_key + "=")
    if len(key) != 32:
        raise ValueError("EncodingAESKey must be 43 characters of base64")
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))

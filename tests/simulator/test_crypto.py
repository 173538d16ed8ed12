"""The callback cipher against WeCom's published sample (加解密方案说明) and against wechatpy's own."""

import pytest
from wechatpy.enterprise.crypto import WeChatCrypto

from wecom.simulator import crypto

TOKEN = "QDG6eK"
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
TIMESTAMP, NONCE = "1409659813", "1372623149"
SIGNATURE = "477715d11cdb4164915debcba66cb864d751f3e6"
SEALED = (
    "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvu"
    "JTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwG"
    "c2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9"
    "EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0"
    "lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q=="
)


def test_known_answer_of_the_official_sample():
    assert crypto.signature(TOKEN, TIMESTAMP, NONCE, SEALED) == SIGNATURE

    message, receiveid = crypto.decrypt(SEALED, aes_key=AES_KEY)

    assert receiveid == "wx5823bf96d3bd56c7"
    assert len(message.encode()) == 284
    assert "<Content><![CDATA[hello]]></Content>" in message
    assert "<MsgId>4561255354251345929</MsgId>" in message


@pytest.mark.parametrize("length", [0, 1, 11, 12, 13, 31, 32, 33, 4096])
def test_wechatpy_reads_what_we_encrypt(length):
    message = "果" * (length // 3) + "x" * (length % 3)
    sealed = crypto.encrypt(message, aes_key=AES_KEY, receiveid="ww0123456789abcdef")

    theirs = WeChatCrypto(TOKEN, AES_KEY, "ww0123456789abcdef")
    mark = crypto.signature(TOKEN, TIMESTAMP, NONCE, sealed)

    assert theirs.check_signature(mark, TIMESTAMP, NONCE, sealed) == message.encode().decode()


def test_another_key_does_not_read_it():
    sealed = crypto.encrypt("secret", aes_key=AES_KEY, receiveid="ww1")
    with pytest.raises(ValueError):  # noqa: PT011  (padding, length or text: whatever the wrong key makes of it)
        crypto.decrypt(sealed, aes_key="abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")

"""The callback cipher, the simulator's and the product's, against WeCom's published sample and against vectors that the
npm package @wecom/crypto made (`vectors/wecom_crypto.json` says how)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.test_crypto import AES_KEY, NONCE, SEALED, SIGNATURE, TIMESTAMP, TOKEN
from wecom import crypto as product
from wecom.calls.signin import signature
from wecom.errors import BadCallback
from wecom.simulator import crypto as simulator

MADE = json.loads((Path(__file__).parent / "vectors" / "wecom_crypto.json").read_text(encoding="utf-8"))
VECTORS: list[dict[str, Any]] = MADE["vectors"]
NAMES = [f"{number}-{len(each['message'])}" for number, each in enumerate(VECTORS)]


def opened(vector: dict[str, Any], **changed: str) -> str:
    """What the product reads of a vector."""
    given = {**vector, **changed}
    seal = product.Seal(given["signature"], given["timestamp"], given["nonce"])
    return product.opened(
        given["encrypt"], seal, token=given["token"], aes_key=given["aes_key"], corpid=given["receiveid"]
    )


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_the_simulator_makes_the_same_letters(vector):
    sealed = simulator.encrypt(
        vector["message"], aes_key=vector["aes_key"], receiveid=vector["receiveid"], prefix=vector["random"].encode()
    )
    assert sealed == vector["encrypt"]
    mark = simulator.signature(vector["token"], vector["timestamp"], vector["nonce"], sealed)
    assert mark == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_the_simulator_and_the_product_read_them(vector):
    read = simulator.decrypt(vector["encrypt"], aes_key=vector["aes_key"])
    assert read == (vector["message"], vector["receiveid"])
    assert opened(vector) == vector["message"]


def test_the_product_refuses_another_signature_receiver_or_key():
    vector = VECTORS[3]
    for changed in ({"signature": "0" * 40}, {"receiveid": "ww00"}, {"aes_key": VECTORS[-1]["aes_key"]}):
        with pytest.raises(BadCallback):
            opened(vector, **changed)


def test_the_official_sample_is_read_by_both():
    message, receiveid = simulator.decrypt(SEALED, aes_key=AES_KEY)
    assert receiveid == "wx5823bf96d3bd56c7"
    seal = product.Seal(SIGNATURE, TIMESTAMP, NONCE)
    assert product.opened(SEALED, seal, token=TOKEN, aes_key=AES_KEY, corpid=receiveid) == message


def test_the_official_sample_is_made_again():
    message, receiveid = simulator.decrypt(SEALED, aes_key=AES_KEY)
    prefix = simulator.decrypt_prefix(SEALED, aes_key=AES_KEY)
    again = simulator.encrypt(message, aes_key=AES_KEY, receiveid=receiveid, prefix=prefix)
    assert again == SEALED


@pytest.mark.parametrize("vector", MADE["jsapi"], ids=lambda each: each["ticket"])
def test_js_sdk_signatures(vector):
    made = signature(
        ticket=vector["ticket"], nonce=vector["nonceStr"], timestamp=vector["timestamp"], url=vector["url"]
    )
    assert made == vector["signature"]

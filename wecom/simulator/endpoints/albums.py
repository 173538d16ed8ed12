"""The product album (商品图册, reference §16): an app manages the products it made itself."""

from __future__ import annotations

from typing import Any

from wecom.simulator import content
from wecom.simulator.errors import Refused
from wecom.simulator.records import Product
from wecom.simulator.wire import Body, Call, endpoint

DESCRIPTION_CHARS, NUMBER_BYTES = 300, 128
HIGHEST_PRICE = 5_000_000  # fen


@endpoint("POST", "externalcontact/add_product_album", empty={"product_id": ""})
def add_product(call: Call) -> Body:
    """description ≤ 300, price (fen), product_sn, attachments[] of pictures → product_id. Official 95096."""
    product = Product(
        product_id=call.corp.new_id("", 32),
        agentid=call.app.agentid,
        description=_description(call),
        price=_price(call),
        product_sn=_number(call),
        attachments=_pictures(call),
        create_time=call.now,
    )
    call.corp.products[product.product_id] = product
    return {"product_id": product.product_id}


@endpoint("POST", "externalcontact/get_product_album", empty={"product": {}})
def get_product(call: Call) -> Body:
    """product_id → product."""
    return {"product": _shown(_asked(call))}


@endpoint("POST", "externalcontact/get_product_album_list", empty={"product_list": []})
def list_products(call: Call) -> Body:
    """limit ≤ 100, cursor → the app's products."""
    mine = [each for each in call.corp.products.values() if each.agentid == call.app.agentid and not each.deleted]
    rows, cursor = call.page(mine, most=100, default=50)
    return {"product_list": [_shown(each) for each in rows], "next_cursor": cursor}


@endpoint("POST", "externalcontact/update_product_album")
def update_product(call: Call) -> Body:
    """product_id and what changes."""
    product = _asked(call)
    description = _description(call) if call.given("description") is not None else product.description
    price = _price(call) if call.given("price") is not None else product.price
    number = _number(call) if call.given("product_sn") is not None else product.product_sn
    pictures = _pictures(call) if call.given("attachments") is not None else product.attachments
    product.description, product.price, product.product_sn, product.attachments = description, price, number, pictures
    return {}


@endpoint("POST", "externalcontact/delete_product_album")
def delete_product(call: Call) -> Body:
    """product_id: 41074 from now on."""
    _asked(call).deleted = True
    return {}


def _asked(call: Call) -> Product:
    """A product of this app. Raises Refused 41075 (unknown, or another app's), 41074 (deleted)."""
    product = call.corp.products.get(call.text("product_id", missing=41075))
    if product is None or product.agentid != call.app.agentid:
        raise Refused(41075)
    if product.deleted:
        raise Refused(41074)
    return product


def _description(call: Call) -> str:
    text = call.text("description", missing=41087)
    if len(text) > DESCRIPTION_CHARS:
        raise Refused(41073)
    return text


def _price(call: Call) -> int:
    price = call.number("price", missing=41086)
    if not 0 <= price <= HIGHEST_PRICE:
        raise Refused(41086)
    return price


def _number(call: Call) -> str:
    number = call.text("product_sn")
    if number and (len(number.encode()) > NUMBER_BYTES or not (number.isascii() and number.isalnum())):
        raise Refused(41085)
    return number


def _pictures(call: Call) -> list[dict[str, Any]]:
    """One to nine pictures that were uploaded for the album. Raises Refused 41088, 41064, 41065, 40007, 41072."""
    given = call.given("attachments")
    if not given:
        raise Refused(41088)
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise Refused(40058, "invalid attachments")
    return content.album_pictures(call.corp, given, now=call.now)


def _shown(product: Product) -> dict[str, Any]:
    return {
        "product_id": product.product_id,
        "description": product.description,
        "price": product.price,
        "create_time": product.create_time,
        "product_sn": product.product_sn,
        "attachments": product.attachments,
    }

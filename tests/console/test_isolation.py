"""Every address of the console, walked as charlie with the ids of alice's things: never data, never a write."""

import re
from typing import Any

import pytest
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver

from tenants.scope import brand_scope
from tests.console import scene

SECRETS = (scene.NAME, scene.PHONE, "甲乙丙人群", "草稿推送丁", "待发推送戊", "小程序己", "ww-alice", "全棉生活")
KNOWN_OUTSIDE = {"", "login/", "logout/", "language/", "agency/", "agency/<slug:slug>/row/", "join/<str:token>/"}


def walk(patterns: list[Any], prefix: str = "") -> list[str]:
    """All routes under the patterns."""
    routes = []
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            routes += walk(entry.url_patterns, route)
        elif isinstance(entry, URLPattern):
            routes.append(route)
    return routes


def console_paths(ids: dict[str, Any]) -> list[str]:
    """The console's routes with alice's ids filled in."""
    routes = [route for route in walk(get_resolver().url_patterns) if route.startswith("console/")]
    paths = []
    for route in routes:
        path = re.sub(r"<\w+:(\w+)>", lambda part: str(ids[part[1]]), route)
        paths.append(path.removeprefix("console/"))
    return paths


def everything(brand_id: int) -> dict[str, str]:
    """A fingerprint of all rows of the brand, table by table, and of its seats and keys."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'brand_id'"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"
        )
        tables = [row[0] for row in cursor.fetchall()]
        prints = {}
        with brand_scope(brand_id):
            for table in tables:
                cursor.execute(
                    f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t"
                    " WHERE brand_id = %s",
                    [brand_id],
                )
                prints[table] = cursor.fetchone()[0]
    return prints


@pytest.mark.parametrize("method", ["get", "post"])
def test_alices_brand_does_not_exist_for_charlie(cast, console, method):
    made = scene.made(cast)
    charlie = console(cast.charlie.user)
    before = everything(cast.brand.pk)
    paths = console_paths(made.ids)
    assert len(paths) > 40

    for path in paths:
        response = getattr(charlie, method)(f"/b/{cast.brand.slug}/console/{path}")
        assert response.status_code == (302 if path == "logout/" else 404), path
        assert not any(secret in response.content.decode() for secret in SECRETS), path
        charlie.force_login(cast.charlie.user)
    assert everything(cast.brand.pk) == before


@pytest.mark.parametrize("method", ["get", "post"])
def test_alices_ids_lead_nowhere_in_charlies_brand(cast, console, method):
    made = scene.made(cast)
    charlie = console(cast.charlie.user)
    before = everything(cast.brand.pk)
    forms = {"name": "x", "v1.text": "x", "v1.content": "1", "act": "revoke", "keep": str(made.segment.pk)}
    forms |= {"tag": str(made.tag.pk), "store": str(cast.store.pk), "segment": str(made.segment.pk), "typed": "1"}
    forms |= {"reason": "x"}

    for path in console_paths(made.ids):
        data = {**forms, "contact": str(made.contact.pk), "who": scene.NAME} if method == "post" else {}
        response = getattr(charlie, method)(f"/b/{cast.other.slug}/console/{path}", data)
        if re.search(r"\d", path):
            assert response.status_code in (404, 405), path
        assert response.status_code < 500, path
        assert not any(secret in response.content.decode() for secret in SECRETS), path
        charlie.force_login(cast.charlie.user)
    assert everything(cast.brand.pk) == before


def test_the_addresses_outside_any_brand_are_known(cast):
    """A new door outside the brands must be looked at, and added here."""
    routes = {route for route in walk(get_resolver().url_patterns) if not route.startswith("console/")}
    ours = {route for route in routes if not re.match(r"api/|callbacks/|healthz|readyz", route)}
    assert ours == KNOWN_OUTSIDE


def test_the_console_is_reached_through_a_brand_only(cast, console):
    alice = console(cast.alice.user)

    assert alice.get("/console/").status_code == 404
    assert alice.get("/console/", headers={"orchard-brand-slug": cast.brand.slug}).status_code == 404
    assert alice.get(f"/b/{cast.brand.slug}/console/").status_code == 200


def test_the_agencys_rows_are_each_brands_own(cast, console):
    scene.made(cast)

    assert console(cast.charlie.user).get(f"/agency/{cast.brand.slug}/row/").status_code == 404
    row = console(cast.dora).get(f"/agency/{cast.brand.slug}/row/").content.decode()
    assert cast.brand.name in row
    assert scene.NAME not in row

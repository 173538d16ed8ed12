"""The brand in the URL: `/b/<slug>/console/…` is the console of one brand.

`/b/<slug>` moves from PATH_INFO to SCRIPT_NAME, so that every `reverse()` of the console yields links inside the same
brand, and two tabs with two brands never meet. Nothing about the brand is kept in the session."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.urls import get_script_prefix, set_script_prefix

SLUG = "orchard.brand_slug"
"""where the slug waits in the WSGI environment; who may use it is decided by console.site"""

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Any], Any]

_BRAND_PATH = re.compile(r"^/b/(?P<slug>[-\w]+)(?P<rest>/console/.*)$", re.ASCII)


def moved(environ: Environ) -> Environ:
    """The environment with the brand taken out of its path; other paths are left as they are."""
    # Never believe a slug that did not come from the path.
    environ.pop(SLUG, None)
    match = _BRAND_PATH.match(environ.get("PATH_INFO", ""))
    if match:
        environ[SLUG] = match["slug"]
        environ["SCRIPT_NAME"] = f"{environ.get('SCRIPT_NAME', '')}/b/{match['slug']}"
        environ["PATH_INFO"] = match["rest"]
    return environ


def brand_in_path(app: WsgiApp) -> WsgiApp:
    """The WSGI application, seeing brand paths as `moved` leaves them."""

    def moving(environ: Environ, start_response: Any) -> Any:
        return app(moved(environ), start_response)

    return moving


def console_url(slug: str, rest: str = "") -> str:
    """The address of a brand's console page; `rest` as `contacts/12/`."""
    return f"/b/{slug}/console/{rest}"


@contextmanager
def outside_brand() -> Iterator[None]:
    """Within, `reverse()` gives addresses that belong to no brand: of callbacks, of the API."""
    prefix = get_script_prefix()
    set_script_prefix("/")
    try:
        yield
    finally:
        set_script_prefix(prefix)

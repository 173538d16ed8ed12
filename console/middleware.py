"""What browsers may send, and what they may load: our own files only."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest

# Alpine, which unfold's shell is built on, evaluates expressions. Customers' pictures stay away: their host would
# learn who is looked at, and when.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
API_DOCS = "/api/docs/"


class NoNulBytes:
    """Refuses forms and queries with a NUL character: PostgreSQL's texts have none, and no keyboard makes one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The response, or a 400. The API says in its own form which parameter it is."""
        if request.path.startswith("/api/"):
            return self._get_response(request)
        if "%00" in request.META.get("QUERY_STRING", "") or "\x00" in request.path:
            return HttpResponseBadRequest()
        is_form = request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data")
        if is_form and any("\x00" in value for _name, values in request.POST.lists() for value in values):
            return HttpResponseBadRequest()
        return self._get_response(request)


class ContentSecurityPolicy:
    """Adds the policy to pages. The API's documentation starts itself with an inline script, and is left alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The response with the header."""
        response = self._get_response(request)
        if not request.path.startswith(API_DOCS):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return response

"""A kept file as an HTTP answer that no browser takes for anything else."""

from urllib.parse import quote

from django.http import HttpResponse

from media import keeping
from media.looking import PICTURES, VIDEO
from media.models import Kept
from scrm.lib.errors import NotFound

SHOWN = (*PICTURES, VIDEO)
"""what a browser may show; everything else is a download"""


def answer(row: Kept) -> HttpResponse:
    """The file's bytes; they never change, so a browser may keep them. Call outside a scope. Raises NotFound."""
    try:
        data = keeping.read(row)
    except FileNotFoundError as lost:
        raise NotFound("file") from lost
    is_shown = row.content_type in SHOWN
    response = HttpResponse(data, content_type=row.content_type if is_shown else "application/octet-stream")
    how = "inline" if is_shown else "attachment"
    response["Content-Disposition"] = f"{how}; filename*=UTF-8''{quote(row.name)}"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cache-Control"] = "private, max-age=86400, immutable"
    return response

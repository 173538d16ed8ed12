"""What an operator must mend about a corp: noted by the call that met it, cleared when that call works again."""

from datetime import datetime

from tenants.scope import brand_scope
from wecom.errors import Misconfigured
from wecom.models import Corp


def note(*, brand_id: int, corp_id: int, error: Misconfigured, at: datetime) -> None:
    """Keep the corp's latest trouble; the time stays that of its first call. Opens its own scope."""
    with brand_scope(brand_id):
        corp = Corp.objects.filter(pk=corp_id)
        corp.exclude(trouble_code=error.problem_code).update(
            trouble_code=error.problem_code, trouble_detail=f"{error.api} {error.errcode}", trouble_at=at
        )


def ends_with(corp: Corp, *, api: str) -> bool:
    """Whether a success of `api` shows that the corp's trouble is over. A token trouble ends with any call."""
    failed, _sep, _errcode = corp.trouble_detail.partition(" ")
    return bool(corp.trouble_code) and failed in (api, "gettoken")


def clear(*, brand_id: int, corp_id: int) -> None:
    """The corp is well. Opens its own scope."""
    with brand_scope(brand_id):
        Corp.objects.filter(pk=corp_id).exclude(trouble_code="").update(
            trouble_code="", trouble_detail="", trouble_at=None
        )

"""What every operation of /api/docs/ says about its refusals, so that no view has to."""

import re
from typing import Any

from drf_spectacular.openapi import AutoSchema

from tenants.api_problem import Problem

ALWAYS = (401, 403, 422, 429)
WITH_BODY = (400, 413, 415)
WITH_KEY = (409,)
DESCRIPTIONS = {
    400: "The body is no JSON.",
    401: "No API key, or one that is revoked.",
    403: "The key lacks the scope.",
    404: "The brand has no such row.",
    409: "It clashes with what is there, or the Idempotency-Key was used for another body.",
    413: "The body is too large.",
    415: "The body is not sent as application/json.",
    422: "Fields are wrong, or a rule says no.",
    429: "More requests a minute than the key may make.",
}
RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds", "required": True}}


class ProblemSchema(AutoSchema):
    """Adds the problem details that an operation may answer with. Those that its docstring names by number
    ("409 while …") are among them; what the view declared itself stays."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """The operation with its refusals."""
        operation = super().get_operation(*args, **kwargs)
        if operation is None or not hasattr(type(self.view), "brand_id"):
            return operation
        content = {"application/problem+json": {"schema": self.resolve_serializer(Problem, "response").ref}}
        for status in sorted(self._refusals(operation)):
            said = {"description": DESCRIPTIONS[status], "content": content}
            said |= {"headers": RETRY_AFTER} if status == 429 else {}
            operation["responses"].setdefault(str(status), said)
        scope = self._scope()
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope `{scope}`.".strip()
        return operation

    def _scope(self) -> str:
        return str(getattr(self.view, "scopes", {}).get(self.method) or getattr(self.view, "scope", ""))

    def _refusals(self, operation: dict[str, Any]) -> set[int]:
        places = {parameter["in"] for parameter in operation.get("parameters", ())}
        named = re.findall(r"\b(4\d\d)\b", operation.get("description", ""))
        return {
            *ALWAYS,
            *((404,) if "path" in places else ()),
            *(WITH_KEY if "header" in places else ()),
            # Under an Idempotency-Key the body is read even where none is asked for: it must be the same again.
            *(WITH_BODY if "requestBody" in operation or "header" in places else ()),
            *(int(status) for status in named if int(status) in DESCRIPTIONS),
        }

"""Refusals that the caller can act on. Doors turn kinds into 404, 409 and 422; operations know no HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from django.db import models
from django.utils.functional import Promise

Text = str | Promise
M = TypeVar("M", bound=models.Model)


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of the input, and what to do about it."""

    field: str
    code: str
    message: Text
    remedy: Text = ""


class DomainError(Exception):
    """A refusal the caller can act on. `code` is part of the API; messages are for people, through gettext.

    `detail` says what happened and why, `remedy` what to do; `errors` name the fields."""

    code: ClassVar[str] = "refused"

    def __init__(
        self,
        detail: Text = "",
        *,
        remedy: Text = "",
        errors: Sequence[FieldError] = (),
        code: str | None = None,
    ) -> None:
        super().__init__(str(detail))
        self.detail = detail
        self.remedy = remedy
        self.errors = tuple(errors)
        self.problem_code = code or self.code


class NotFound(DomainError):
    """It is not there, or it is another brand's: the caller cannot tell which."""

    code = "not_found"


class Missing(NotFound):
    """`found` found nothing; the detail is only the kind of thing: doors say the rest."""


class Conflict(DomainError):
    """It clashes with what is there already."""

    code = "conflict"


class Refused(DomainError):
    """A rule of the product or of the brand says no."""

    code = "refused"


class Invalid(Refused):
    """The input is wrong; `errors` say where."""

    code = "invalid"


class Forbidden(DomainError):
    """The actor's role does not allow it."""

    code = "forbidden"


def found(queryset: "models.QuerySet[M]") -> M:
    """The queryset's one row, or NotFound: another brand's row and a missing row are the same."""
    row = queryset.first()
    if row is None:
        raise Missing(f"{queryset.model._meta.verbose_name}")
    return row

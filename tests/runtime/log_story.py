"""A brand's log before a backup and after its restore, each in a process of its own.

`python -m tests.runtime.log_story before`  write two events, read the first
`python -m tests.runtime.log_story after`   write a third and say which ones the reactor is given
"""

import os
import sys
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scrm.settings")
django.setup()

# ruff: noqa: E402 - settings come first
from django.utils import timezone

from events import log, partitions, reactors
from tenants.models import Agency, Brand
from tenants.scope import brand_scope


def main(act: str) -> None:
    """Play one act and print what the reactor was given, in order."""
    given: list[str] = []
    reactors.register(
        reactors.Reactor(
            name="story",
            types=frozenset({"page_view"}),
            handle=lambda batch: given.extend(row.props["page"] for row in batch.rows),
        )
    )
    if act == "before":
        brand = Brand.objects.create(
            agency=Agency.objects.create(name="代运营", slug="agency"), name="品牌", slug="brand"
        )
        partitions.ensure_ahead(at=timezone.now())
        write(brand, "first")
        react(brand)
        write(brand, "second")
    else:
        brand = Brand.objects.get(slug="brand")
        write(brand, "third")
        react(brand)
    sys.stdout.write(" ".join(["given:", *given]) + "\n")


def write(brand: Brand, page: str) -> None:
    """One event of a contact."""
    event = log.NewEvent(
        type="page_view", occurred_at=timezone.now() - timedelta(seconds=1), contact_id=1, props={"page": page}
    )
    with brand_scope(brand.pk):
        log.write([event], at=timezone.now())


def react(brand: Brand) -> None:
    """Give the reactor everything below the real horizon."""
    while reactors.react(brand_id=brand.pk, reactor="story", at=timezone.now()).more:
        pass


main(sys.argv[1])

"""Alice's files, and what WeCom has of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.files.base import ContentFile

from media import copies, keeping
from media.copies import Live, Need
from media.models import Copy, Form, Kept
from tenants.actors import Actor
from tenants.scope import brand_scope
from tests.campaigns.shop import Shop
from tests.media.files import png

ALICE = Actor("user:1", "Alice")
UPLOADS = ("media/uploadimg", "media/upload", "media/upload_attachment")


@dataclass
class Shelf:
    """The brand's kept files."""

    shop: Shop

    @property
    def brand_id(self) -> int:
        return self.shop.brand_id

    @property
    def corp_id(self) -> int:
        return self.shop.cast.corp.pk

    def keep(self, data: bytes | None = None, name: str = "海报.png", **options: Any) -> Kept:
        upload = ContentFile(png() if data is None else data)
        at = options.pop("at", self.shop.at)
        return keeping.keep(brand_id=self.brand_id, upload=upload, name=name, actor=ALICE, at=at, **options)[0]

    def ready(self, *needs: Need, at: datetime | None = None, **options: Any) -> dict[Need, Live]:
        return copies.ready(
            brand_id=self.brand_id,
            corp_id=self.corp_id,
            needs=needs,
            wecom=self.shop.wecom,
            at=at or self.shop.at,
            **options,
        )

    def rows(self) -> dict[tuple[int, str], Copy]:
        with brand_scope(self.brand_id):
            return {(row.media_id, row.form): row for row in Copy.objects.all()}

    def uploads(self) -> dict[str, int]:
        """How often each call that uploads was made."""
        calls = self.shop.simulator.get("/_sim/counters")["calls"]
        return {name: calls[name] for name in UPLOADS if calls.get(name)}


def message(row: Kept) -> Need:
    return Need(row.pk, (Form.MESSAGE,))


def picture(row: Kept) -> Need:
    return Need(row.pk, (Form.URL, Form.MESSAGE))

"""Keeping files: upload, list, what uses them, and letting go of what nobody uses.

The bytes are in Django's storage "kept" (a directory unless set otherwise), each row's under a path of its own, so
that no two rows ever argue about one file. Bytes are written before the row and deleted after it: a crash in between
leaves a file that no row names, which `sweep` finds."""

import hashlib
import logging
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.translation import gettext as _

from media.looking import LARGEST_OF_ALL, Look, look, too_large
from media.models import Kept
from scrm.lib.errors import Conflict, found
from tenants import audit
from tenants.actors import Actor
from tenants.scope import brand_scope

logger = logging.getLogger(__name__)

KEPT_UNUSED = timedelta(days=30)
"""how long a file is kept that no content names"""
STRAY_AFTER = timedelta(days=1)
"""how old a file without a row must be: its upload may still be on its way to the row"""


def storage() -> Storage:
    """Where the bytes are."""
    return storages["kept"]


def keep(*, brand_id: int, upload: Any, name: str, kind: str = "", actor: Actor, at: datetime) -> tuple[Kept, bool]:
    """Keep an uploaded file (Django's File); the row, and whether it is new. Opens its own scopes.

    The same bytes under the same name are the same row: a repeat changes nothing. Raises Invalid naming what is wrong
    with the file."""
    if upload.size is not None and upload.size > LARGEST_OF_ALL:
        raise too_large()
    data = upload.read(LARGEST_OF_ALL + 1)
    seen = look(data=data, name=name, kind=kind)
    digest = hashlib.sha256(data).hexdigest()
    with brand_scope(brand_id):
        known = _same(seen, digest, at)
    if known is not None:
        return known, False
    path = storage().save(f"{brand_id}/{digest[:2]}/{digest}-{uuid4().hex[:12]}", ContentFile(data))
    with brand_scope(brand_id):
        Kept.objects.bulk_create([_row(seen, digest, path, len(data), actor, at)], ignore_conflicts=True)
        row = _same(seen, digest, at)
        assert row is not None  # noqa: S101 - written above, or by who was faster
        if row.path == path:
            audit.record(
                actor=actor, action="media.keep", object_type="media", object_id=row.pk, after=_state(row), at=at
            )
    if row.path != path:  # somebody else's upload of the same file was faster
        storage().delete(path)
    return row, row.path == path


def read(row: Kept) -> bytes:
    """The file's bytes. Call outside a scope. Raises FileNotFoundError when the storage has lost them."""
    with storage().open(row.path, "rb") as file:
        return bytes(file.read())


def by_ids(ids: Collection[int]) -> dict[int, Kept]:
    """The brand's files among these ids. Scoped."""
    return Kept.objects.in_bulk(list(ids)) if ids else {}


def use(*, ids: Collection[int]) -> set[int]:
    """Something is about to name these files: they are not let go. Returns those that exist. Scoped.

    To be called in the transaction that writes the naming: it locks the rows against `sweep`."""
    rows = Kept.objects.filter(pk__in=ids).order_by("pk").select_for_update(of=("self",))
    existing = set(rows.values_list("pk", flat=True))
    Kept.objects.filter(pk__in=existing, unused_since__isnull=False).update(unused_since=None)
    return existing


def release(*, ids: Collection[int], at: datetime) -> None:
    """Nothing names these files any more: they are kept another 30 days. Scoped."""
    Kept.objects.filter(pk__in=ids, unused_since=None).update(unused_since=at)


def remove(*, brand_id: int, media_id: int, actor: Actor, at: datetime) -> None:
    """Delete a file that nothing names, with its copies. Opens its own scope. Raises NotFound, or Conflict."""
    with brand_scope(brand_id):
        row = found(Kept.objects.filter(pk=media_id).select_for_update(of=("self",)))
        path, before = row.path, _state(row)
        try:
            row.delete()
        except ProtectedError as used:
            raise Conflict(
                _("素材「%s」正在被内容或欢迎语使用，不能删除。") % row.name,
                remedy=_("请先在用到它的地方换掉。"),
                code="media.in_use",
            ) from used
        audit.record(
            actor=actor,
            action="media.remove",
            object_type="media",
            object_id=media_id,
            before=before,
            after=None,
            at=at,
        )
        _delete_bytes(path)


def sweep(*, brand_id: int, at: datetime) -> int:
    """Let go of files that nothing has named for 30 days, and of bytes that no row names. Opens its own scopes.

    Returns how many files went."""
    with brand_scope(brand_id):
        old = Kept.objects.filter(unused_since__lt=at - KEPT_UNUSED).select_for_update(of=("self",), skip_locked=True)
        paths = [row.path for row in old]
        Kept.objects.filter(path__in=paths).delete()
        for path in paths:
            _delete_bytes(path)
    strays = _strays(brand_id, at)
    for path in strays:
        storage().delete(path)
    if paths or strays:
        logger.info("media.swept", extra={"brand": brand_id, "files": len(paths), "strays": len(strays)})
    return len(paths) + len(strays)


def _delete_bytes(path: str) -> None:
    """Once the row is gone for good. Scoped."""
    transaction.on_commit(lambda: storage().delete(path))


def _strays(brand_id: int, at: datetime) -> list[str]:
    """Bytes of the brand that no row names, from uploads that broke off."""
    files = storage()
    stored = [
        f"{brand_id}/{part}/{name}" for part in _listed(str(brand_id), 0) for name in _listed(f"{brand_id}/{part}", 1)
    ]
    with brand_scope(brand_id):
        named = set(Kept.objects.values_list("path", flat=True))
    return [path for path in stored if path not in named and _age(files, path, at) > STRAY_AFTER]


def _listed(directory: str, which: int) -> Iterable[str]:
    """Directories (0) or files (1) in a directory of the storage; none when it is not there."""
    try:
        return storage().listdir(directory)[which]
    except FileNotFoundError:
        return []


def _age(files: Storage, path: str, at: datetime) -> timedelta:
    written = files.get_modified_time(path)
    return at - (written if timezone.is_aware(written) else timezone.make_aware(written))


def _same(seen: Look, digest: str, at: datetime) -> Kept | None:
    """The row of this very file, wanted again just now. Scoped."""
    rows = Kept.objects.filter(kind=seen.kind, sha256=digest, name=seen.name)
    rows.filter(unused_since__isnull=False).update(unused_since=at)
    return rows.first()


def _row(seen: Look, digest: str, path: str, size: int, actor: Actor, at: datetime) -> Kept:
    return Kept(
        kind=seen.kind,
        name=seen.name,
        sha256=digest,
        path=path,
        size=size,
        content_type=seen.content_type,
        width=seen.width,
        height=seen.height,
        seconds=seen.seconds,
        created_at=at,
        created_by=actor.id[:80],
        unused_since=at,
    )


def _state(row: Kept) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("kind", "name", "size", "sha256")}

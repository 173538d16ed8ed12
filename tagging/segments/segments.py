"""Segments: saved questions about contacts. Saving, counting, sampling, and saying in words what is asked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from contacts.models import Contact
from scrm.lib.errors import Conflict, FieldError, Invalid, found
from tagging.language import catalogue, compiler, nesting, references
from tagging.language.params import is_clean_text
from tagging.language.readable import sentence
from tagging.language.sql import prepare
from tagging.models import Segment
from tagging.segments import followers, memberships
from tagging.segments.explain import Explanation, explain
from tagging.segments.followers import segments_named
from tenants import audit
from tenants.actors import Actor
from tenants.scope import current_brand_id

__all__ = [
    "Explanation",
    "archive",
    "check",
    "count",
    "describe_catalogue",
    "explain",
    "frozen",
    "sample",
    "save",
    "sentence",
]

describe_catalogue = catalogue.describe
MAX_NAME = 60


def save(*, name: str, tree: Any, actor: Actor, at: datetime, segment_id: int | None = None) -> Segment:
    """Make a segment, or change one (its version rises when the tree changes). Scoped; audited.

    Raises Invalid (name, or places in the tree), Conflict `tagging.name_taken`, NotFound. Nothing is saved then."""
    _check_name(name)
    check(tree, segment_id=segment_id)
    old = _locked(segment_id) if segment_id is not None else None
    namesake = Segment.objects.filter(name=name).first()
    if namesake is not None and namesake != old:
        raise Conflict(
            _("已有名为“%(name)s”的人群。") % {"name": name},
            remedy=_("换一个名称，或修改已有的人群。"),
            errors=[FieldError("name", "tagging.name_taken", _("名称已被使用。"), _("换一个名称。"))],
            code="tagging.name_taken",
        )
    before = {"name": old.name, "tree": old.tree, "version": old.version} if old else None
    if old is not None and old.tree != tree:
        memberships.check_change(old, tree)
    segment = old or Segment(created_at=at, version=0)
    if segment.tree != tree or not old:
        segment.version += 1
    segment.name, segment.tree, segment.updated_at = name, tree, at
    segment.save()
    if before is not None and before["version"] != segment.version:
        memberships.tree_changed(segment, at=at)
    audit.record(
        actor=actor,
        action="segment.save",
        object_type="segment",
        object_id=segment.pk,
        before=before,
        after={"name": name, "tree": tree, "version": segment.version},
        at=at,
    )
    return segment


def archive(*, segment_id: int, actor: Actor, at: datetime) -> Segment:
    """Put a segment away; pushes that used it keep their snapshot. Scoped; audited. A repeat changes nothing.

    Raises Conflict `tagging.segment_in_use` while another segment, or a lifecycle stage, asks about it."""
    segment = _locked(segment_id)
    if segment.archived_at is None:
        _refuse_if_named(segment)
        segment.archived_at = segment.updated_at = at
        segment.save(update_fields=["archived_at", "updated_at"])
        memberships.archived(segment, at=at)
        audit.record(
            actor=actor,
            action="segment.archive",
            object_type="segment",
            object_id=segment.pk,
            before={"name": segment.name},
            at=at,
        )
    return segment


def check(tree: Any, *, path: str = "tree", segment_id: int | None = None) -> None:
    """`compiler.validate`, and that the rows which the tree names are there, and no segment refers to itself. Scoped.

    `segment_id`: the segment whose tree this is to be. Raises Invalid whose errors name the places."""
    compiler.validate(tree, path=path)
    known = references.names_of(tree)
    wrong = [
        references.unknown(f"{place}.{reference.field}", reference)
        for place, leaf in compiler.leaves_of(tree, path)
        for reference in compiler.kind_of(leaf).references(leaf)
        if (reference.type, reference.value) not in known
    ]
    if wrong or (wrong := list(nesting.check(tree, path, segment_id=segment_id))):
        raise Invalid(
            _("条件有 %(n)d 处不正确。") % {"n": len(wrong)},
            remedy=_("按 errors 中的路径逐处改正。"),
            errors=wrong,
            code="tagging.invalid_condition",
        )


def frozen(tree: Any) -> Any:
    """The tree with the trees of the segments that it names in their place: what a snapshot keeps. Scoped."""
    return nesting.inlined(tree)


def count(tree: Any, at: datetime) -> int:
    """How many contacts satisfy the tree at `at`, exactly. Scoped. Raises Invalid."""
    brand_id = current_brand_id()
    condition = compiler.condition_sql(tree, brand_id=brand_id, at=at)
    with connection.cursor() as cursor:
        prepare(cursor, condition)
        cursor.execute(
            f"SELECT count(*) FROM contacts_contact c WHERE c.brand_id = %s AND {condition.text}",  # noqa: S608
            [brand_id, *condition.params],
        )
        return int(cursor.fetchone()[0])


def sample(tree: Any, at: datetime, limit: int = 20) -> list[Contact]:
    """Some of the contacts who satisfy the tree, mixed by a hash of their id: the same ones each time. Scoped."""
    brand_id = current_brand_id()
    condition = compiler.condition_sql(tree, brand_id=brand_id, at=at)
    with connection.cursor() as cursor:
        prepare(cursor, condition)
        cursor.execute(
            f"SELECT c.id FROM contacts_contact c WHERE c.brand_id = %s AND {condition.text}"  # noqa: S608
            " ORDER BY hashint8(c.id), c.id LIMIT %s",
            [brand_id, *condition.params, limit],
        )
        ids = [row[0] for row in cursor.fetchall()]
    by_id: Mapping[int, Contact] = Contact.objects.select_related("main_guide").in_bulk(ids)
    return [by_id[key] for key in ids]


def _refuse_if_named(segment: Segment) -> None:
    users = nesting.named_by(segment.pk)
    if users:
        raise Conflict(
            _("人群“%(name)s”被别的人群引用：%(users)s。")
            % {"name": segment.name, "users": _("、").join(user.name for user in users[:5])},
            remedy=_("先从这些人群里去掉引用，再归档。"),
            code="tagging.segment_in_use",
        )
    stages = [
        name for each in followers.all_of_them() for name, tree in each.trees() if segment.pk in segments_named(tree)
    ]
    if stages:
        raise Conflict(
            _("人群“%(name)s”被生命周期阶段引用：%(users)s。")
            % {"name": segment.name, "users": _("、").join(stages[:5])},
            remedy=_("先移除或修改这些阶段，再归档。"),
            code="tagging.segment_in_use",
        )


def _locked(segment_id: int) -> Segment:
    return found(Segment.objects.filter(pk=segment_id).select_for_update(of=("self",)))


def _check_name(name: Any) -> None:
    if not is_clean_text(name) or len(name) > MAX_NAME or not name.strip():
        raise Invalid(
            _("人群的名称不正确。"),
            errors=[
                FieldError("name", "tagging.bad_name", _("名称要有 1 到 60 个字符。"), _("例如“沉默·有积分未用”。"))
            ],
        )

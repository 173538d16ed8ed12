"""What a segment may ask about outreach."""

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tagging.language import changes
from tagging.language.conditions import Condition, Frame, Leaf, Names
from tagging.language.params import Param
from tagging.language.sql import Sql


class SopTouched(Condition):
    """{"kind": "sop_touch", "push_id": 7}: the crowd that a step of an SOP moved. Made by campaigns.sop.sop."""

    kind = "sop_touch"
    label = gettext_lazy("流程步骤的客户")
    group = "touch"
    params = (Param("push_id", gettext_lazy("推送"), "int", required=True),)

    def sql(self, leaf: Leaf, frame: Frame) -> Sql:
        """Whether the contact was in the crowd."""
        return Sql(f"EXISTS (SELECT 1 {self._rows(frame)})", (frame.brand_id, leaf["push_id"]))

    def touched_by(self, leaf: Leaf) -> changes.Touched:
        """The crowd of a step never changes."""
        return changes.NOTHING

    def next_flip(self, leaf: Leaf, frame: Frame) -> Sql | None:
        """Never."""
        return None

    def actual(self, leaf: Leaf, frame: Frame) -> Sql:
        """True or false."""
        return Sql(f"(SELECT to_jsonb(count(*) > 0) {self._rows(frame)})", (frame.brand_id, leaf["push_id"]))

    def sentence(self, leaf: Leaf, names: Names) -> str:
        """走到流程步骤（推送 #7）."""
        return _("走到流程步骤（推送 #%d）") % leaf["push_id"]

    def _rows(self, frame: Frame) -> str:
        return f"FROM campaigns_soptouch t WHERE t.brand_id = %s AND t.push_id = %s AND t.contact_id = {frame.alias}.id"

"""What is said, and the kept files that it shows."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from media.models import Kept
from tenants.tables import TenantModel, tenant_key


class Channel(models.TextChoices):
    SINGLE = "single", _("单聊")
    GROUP = "group", _("客户群")
    MOMENTS = "moments", _("朋友圈")


class Content(TenantModel):
    """内容: text and attachments as WeCom takes them, valid for its channel when saved."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("名称"), max_length=60)
    channel = models.CharField(_("渠道"), max_length=10, choices=Channel.choices, default=Channel.SINGLE)
    text = models.TextField(_("文案"), blank=True)
    attachments = models.JSONField(_("附件"), default=list, blank=True)
    """WeCom's attachment objects, api-reference §12.1 (Moments: §13); `media` in place of a media_id: a kept file"""
    created_at = models.DateTimeField()
    media_ends_at = models.DateTimeField(null=True, editable=False)
    """when WeCom forgets the first of the media_ids that it names itself, at the latest; null: it names none"""

    class Meta:
        verbose_name = verbose_name_plural = _("内容")

    def __str__(self) -> str:
        return self.name


class ContentMedia(TenantModel):
    """A kept file that a content shows: the file cannot go while it does."""

    pk = models.CompositePrimaryKey("brand_id", "content_id", "media_id")
    content = tenant_key(Content)
    media = tenant_key(Kept, models.PROTECT)

    class Meta:
        indexes = [models.Index(fields=["brand", "media"], name="content_of_media")]

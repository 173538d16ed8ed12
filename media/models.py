"""素材 kept media: files of the brand that its contents show, and the copies of them that live in WeCom.

WeCom keeps a file for three days only. So the bytes are kept here, a content names our file, and what WeCom wants of
it (an address that lasts, or a media_id that does not) is a copy that can be made again at any time."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.tables import TenantModel, tenant_key
from wecom.models import Corp


class Kind(models.TextChoices):
    """What WeCom calls the type of a file (api-reference §17)."""

    IMAGE = "image", _("图片")
    VIDEO = "video", _("视频")
    FILE = "file", _("文件")


class Form(models.TextChoices):
    """What a copy in WeCom is, by the call that makes it (api-reference §17)."""

    URL = "url", _("永久网址")
    """media/uploadimg: an address, permanent"""
    MESSAGE = "message", _("消息素材")
    """media/upload: a media_id for messages, three days"""
    MOMENTS = "moments", _("朋友圈素材")
    """media/upload_attachment: a media_id for Moments, three days; other ids are refused there"""


class Kept(TenantModel):
    """One file of the brand. The same bytes under the same name are kept once."""

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(_("类型"), max_length=10, choices=Kind.choices)
    name = models.CharField(_("文件名"), max_length=100)
    """with the extension that its content has; customers see the name of a file"""
    sha256 = models.CharField(max_length=64)
    path = models.CharField(max_length=200)
    """where the bytes are in the storage "kept": <brand>/<first two of the hash>/<hash>-<random>"""
    size = models.PositiveIntegerField()
    """bytes"""
    content_type = models.CharField(max_length=100)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    """pixels of an image"""
    seconds = models.FloatField(null=True)
    """of a video, if it says so"""
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80, blank=True)
    unused_since = models.DateTimeField(null=True)
    """since when nothing names it; null while something does"""

    class Meta:
        verbose_name = verbose_name_plural = _("素材")
        constraints = [models.UniqueConstraint(fields=["brand", "kind", "sha256", "name"], name="kept_once")]
        indexes = [models.Index(fields=["brand", "unused_since"], name="kept_unused")]

    def __str__(self) -> str:
        return self.name


class Copy(TenantModel):
    """A file of ours as it is in a corp of WeCom. Claimed before the upload, so that it is made once."""

    pk = models.CompositePrimaryKey("brand_id", "media_id", "corp_id", "form")
    media = tenant_key(Kept)
    corp = tenant_key(Corp)
    form = models.CharField(max_length=10, choices=Form.choices)
    value = models.TextField(blank=True)
    """the address or media_id; empty until there is one"""
    made_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    """null: lasts"""
    claimed_at = models.DateTimeField(null=True)
    """by whom it is being uploaded; null: by nobody"""
    due_at = models.DateTimeField(null=True)
    """not tried again before, after a failure"""
    attempts = models.PositiveSmallIntegerField(default=0)
    """failures since it was made last"""
    error_code = models.CharField(max_length=60, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("素材副本")
        indexes = [models.Index(fields=["brand", "expires_at"], name="copy_expires")]

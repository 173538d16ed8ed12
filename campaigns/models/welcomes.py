"""Welcome messages."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from campaigns.models.contents import Content
from media.models import Kept
from tenants.tables import TenantModel, tenant_key
from wecom.models import Corp


class Welcome(TenantModel):
    """欢迎语: what a corp says to a customer who has just added a guide. One per corp."""

    id = models.BigAutoField(primary_key=True)
    corp = tenant_key(Corp)
    is_on = models.BooleanField(_("启用"), default=False)
    content = tenant_key(Content, models.PROTECT, null=True, blank=True)
    """instead of the text, if set"""
    text = models.TextField(_("文案"), blank=True)
    media = tenant_key(Kept, models.PROTECT, null=True, blank=True)
    """a picture, video or file that goes with the text"""
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("欢迎语")
        constraints = [models.UniqueConstraint(fields=["brand", "corp"], name="welcome_once")]

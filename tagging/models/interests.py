"""What contacts are drawn to: scores that halve with time, and how they are reckoned."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact
from tenants.tables import TenantModel, tenant_key

HALF_LIFE_DAYS = 14.0
"""where the brand has said nothing else"""
CATEGORY, PRODUCT = "category", "product"


class InterestPolicy(TenantModel):
    """How a brand reckons interest; without a row the house's own weights hold (tagging.interests)."""

    id = models.BigAutoField(primary_key=True)
    half_life_days = models.FloatField(_("半衰期"))
    weights = models.JSONField(_("权重"))
    """{event type: weight}"""
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = _("兴趣分设置")
        constraints = [models.UniqueConstraint(fields=["brand"], name="interest_policy_once")]


class InterestScore(TenantModel):
    """A contact's interest in a category or product: `score` as it was at `as_of`; it halves every half-life since."""

    pk = models.CompositePrimaryKey("brand_id", "contact_id", "kind", "key")
    contact = tenant_key(Contact)
    kind = models.CharField(max_length=10)
    """category or product"""
    key = models.CharField(max_length=200)
    score = models.FloatField()
    as_of = models.DateTimeField()
    """when the latest of its events happened"""
    top = models.JSONField(default=list)
    """the events that weigh most: [{"id", "type", "at", "gain"}], gain as it was when it happened"""

    class Meta:
        verbose_name = verbose_name_plural = _("兴趣分")
        indexes = [models.Index(fields=["brand", "kind", "key", "contact"], name="interested_in")]

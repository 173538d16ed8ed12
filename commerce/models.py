"""What the brand's shops tell us of orders: each report, and the order that they add up to."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact
from tenants.tables import TenantModel, tenant_key


class Order(TenantModel):
    """订单: one order number of the brand, as all reports of it say."""

    class Status(models.TextChoices):
        CREATED = "created", _("待支付")
        PAID = "paid", _("已支付")
        SHIPPED = "shipped", _("已发货")
        COMPLETED = "completed", _("已完成")
        REFUNDED = "refunded", _("已退款")
        CANCELLED = "cancelled", _("已取消")

    id = models.UUIDField(primary_key=True)
    """made_id(brand_id, 'order', order_no)"""
    order_no = models.CharField(_("订单号"), max_length=200)
    contact = tenant_key(Contact)
    """whom the first report named"""
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CREATED)
    amount_fen = models.BigIntegerField(default=0)
    """what was paid; before payment, what is to be paid"""
    refunded_fen = models.BigIntegerField(default=0)
    """given back so far, all refunds together"""
    category = models.TextField(blank=True)
    product_id = models.TextField(blank=True)
    ordered_at = models.DateTimeField()
    """the earliest report"""
    paid_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = verbose_name_plural = _("订单")
        indexes = [models.Index(fields=["brand", "contact", "-ordered_at"], name="order_of_contact")]

    def __str__(self) -> str:
        return self.order_no


class OrderReport(TenantModel):
    """One event about an order. Orders are added up from these, so that order and repeats of events do not matter."""

    pk = models.CompositePrimaryKey("brand_id", "order_id", "event_id")
    order_id = models.UUIDField()
    """commerce_order.id, without a foreign key: both go when a person is erased, in either order"""
    event_id = models.UUIDField()
    contact = tenant_key(Contact)
    kind = models.CharField(max_length=20)
    """created, paid, refunded, shipped, completed or cancelled"""
    at = models.DateTimeField()
    amount_fen = models.BigIntegerField(null=True)
    category = models.TextField(blank=True)
    product_id = models.TextField(blank=True)

    class Meta:
        verbose_name = verbose_name_plural = _("订单上报")
        indexes = [models.Index(fields=["brand", "contact"], name="order_report_contact")]

"""Outreach: what is said (content), to whom (push, delivery), what it costs (budget), how it leaves (batch); SOPs."""

from campaigns.models.budget import BudgetPolicy, Reservation
from campaigns.models.contents import Channel, Content, ContentMedia
from campaigns.models.deliveries import Delivery, DeliveryStatus, GroupDelivery, LeftOut
from campaigns.models.pushes import Batch, Push, Variant
from campaigns.models.reminders import Reminder
from campaigns.models.sops import Enrolment, Sop, SopTouch, SopVersion
from campaigns.models.welcomes import Welcome

__all__ = [
    "Batch",
    "BudgetPolicy",
    "Channel",
    "Content",
    "ContentMedia",
    "Delivery",
    "DeliveryStatus",
    "Enrolment",
    "GroupDelivery",
    "LeftOut",
    "Push",
    "Reminder",
    "Reservation",
    "Sop",
    "SopTouch",
    "SopVersion",
    "Variant",
    "Welcome",
]

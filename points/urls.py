from django.urls import path

from points import api
from points.tiers import api as tiers

urlpatterns = [
    path("points/balance", api.Balance.as_view(), name="points-balance"),
    path("points/entries", api.Entries.as_view(), name="points-entries"),
    path("points/grants", api.Grants.as_view(), name="points-grants"),
    path("points/spends", api.Spends.as_view(), name="points-spends"),
    path("points/tiers", tiers.Rules.as_view(), name="tiers"),
    path("points/tier", tiers.OfContact.as_view(), name="tier"),
    path("points/tier/history", tiers.History.as_view(), name="tier-history"),
    path("points/tier/floor", tiers.Floor.as_view(), name="tier-floor"),
]

from django.urls import path

from points import api

urlpatterns = [
    path("points/balance", api.Balance.as_view(), name="points-balance"),
    path("points/entries", api.Entries.as_view(), name="points-entries"),
    path("points/grants", api.Grants.as_view(), name="points-grants"),
    path("points/spends", api.Spends.as_view(), name="points-spends"),
]

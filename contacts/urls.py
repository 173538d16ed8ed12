"""The API of contacts, mounted at /api/v1/."""

from django.urls import path

from contacts import api, churn_api, oneid_api

urlpatterns = [
    path("contacts", api.Contacts.as_view()),
    path("contacts/lookup", api.ContactLookup.as_view()),
    path("contacts/<int:contact_id>", api.ContactDetail.as_view()),
    path("contacts/<int:contact_id>/identity-graph", oneid_api.IdentityGraph.as_view()),
    path("contacts/<int:contact_id>/merge", oneid_api.Merges.as_view()),
    path("contacts/<int:contact_id>/export", oneid_api.Export.as_view()),
    path("contacts/<int:contact_id>/erase", oneid_api.Erase.as_view()),
    path("churn", churn_api.Churn.as_view()),
    path("oneid/summary", oneid_api.Summary.as_view()),
    path("oneid/links", oneid_api.Link.as_view()),
    path("oneid/merges/<int:merge_id>/split", oneid_api.Split.as_view()),
    path("oneid/conflicts", oneid_api.Conflicts.as_view()),
    path("oneid/conflicts/<uuid:conflict_id>/merge", oneid_api.ConflictMerge.as_view()),
    path("oneid/conflicts/<uuid:conflict_id>/keep-apart", oneid_api.ConflictKeepApart.as_view()),
]

"""The API of contacts, mounted at /api/v1/."""

from django.urls import path

from contacts.api import churn, contacts, oneid

urlpatterns = [
    path("contacts", contacts.Contacts.as_view()),
    path("contacts/lookup", contacts.ContactLookup.as_view()),
    path("contacts/<int:contact_id>", contacts.ContactDetail.as_view()),
    path("contacts/<int:contact_id>/identity-graph", oneid.IdentityGraph.as_view()),
    path("contacts/<int:contact_id>/merge", oneid.Merges.as_view()),
    path("contacts/<int:contact_id>/export", oneid.Export.as_view()),
    path("contacts/<int:contact_id>/erase", oneid.Erase.as_view()),
    path("churn", churn.Churn.as_view()),
    path("oneid/summary", oneid.Summary.as_view()),
    path("oneid/links", oneid.Link.as_view()),
    path("oneid/merges/<int:merge_id>/split", oneid.Split.as_view()),
    path("oneid/conflicts", oneid.Conflicts.as_view()),
    path("oneid/conflicts/<uuid:conflict_id>/merge", oneid.ConflictMerge.as_view()),
    path("oneid/conflicts/<uuid:conflict_id>/keep-apart", oneid.ConflictKeepApart.as_view()),
]

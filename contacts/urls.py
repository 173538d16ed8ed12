"""The API of contacts, mounted at /api/v1/."""

from django.urls import path

from contacts import api

urlpatterns = [
    path("contacts", api.Contacts.as_view()),
    path("contacts/lookup", api.ContactLookup.as_view()),
    path("contacts/<int:contact_id>", api.ContactDetail.as_view()),
]

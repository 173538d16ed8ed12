"""Mounted at /api/v1/."""

from django.urls import path

from tagging import api

urlpatterns = [
    path("tags", api.Tags.as_view(), name="tags"),
    path("tags/<int:tag_id>/give", api.GiveTag.as_view(), name="tag-give"),
    path("tags/<int:tag_id>/take", api.TakeTag.as_view(), name="tag-take"),
    path("segments", api.Segments.as_view(), name="segments"),
    path("segments/catalogue", api.Catalogue.as_view(), name="segment-catalogue"),
    path("segments/count", api.CountSegment.as_view(), name="segment-count"),
    path("segments/<int:segment_id>", api.OneSegment.as_view(), name="segment"),
    path("segments/<int:segment_id>/explain", api.ExplainSegment.as_view(), name="segment-explain"),
]

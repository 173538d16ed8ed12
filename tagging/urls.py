"""Mounted at /api/v1/."""

from django.urls import path

from tagging import api, api_members

urlpatterns = [
    path("tags", api.Tags.as_view(), name="tags"),
    path("tags/<int:tag_id>/give", api.GiveTag.as_view(), name="tag-give"),
    path("tags/<int:tag_id>/take", api.TakeTag.as_view(), name="tag-take"),
    path("segments", api.Segments.as_view(), name="segments"),
    path("segments/catalogue", api.Catalogue.as_view(), name="segment-catalogue"),
    path("segments/templates", api.Templates.as_view(), name="segment-templates"),
    path("segments/count", api.CountSegment.as_view(), name="segment-count"),
    path("segments/estimate", api_members.EstimateSegment.as_view(), name="segment-estimate"),
    path("segments/overlap", api_members.OverlapSegments.as_view(), name="segment-overlap"),
    path("segments/<int:segment_id>/mode", api_members.SegmentMode.as_view(), name="segment-mode"),
    path("segments/<int:segment_id>/members", api_members.SegmentMembers.as_view(), name="segment-members"),
    path("segments/<int:segment_id>/history", api_members.SegmentHistory.as_view(), name="segment-history"),
    path("segments/<int:segment_id>", api.OneSegment.as_view(), name="segment"),
    path("segments/<int:segment_id>/explain", api.ExplainSegment.as_view(), name="segment-explain"),
]

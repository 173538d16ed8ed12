"""Mounted at /api/v1/."""

from django.urls import path

from tagging.api import members, questions, segments, tags

urlpatterns = [
    path("tags", tags.Tags.as_view(), name="tags"),
    path("tags/<int:tag_id>/give", tags.GiveTag.as_view(), name="tag-give"),
    path("tags/<int:tag_id>/take", tags.TakeTag.as_view(), name="tag-take"),
    path("segments", segments.Segments.as_view(), name="segments"),
    path("segments/catalogue", questions.Catalogue.as_view(), name="segment-catalogue"),
    path("segments/templates", questions.Templates.as_view(), name="segment-templates"),
    path("segments/count", questions.CountSegment.as_view(), name="segment-count"),
    path("segments/estimate", questions.EstimateSegment.as_view(), name="segment-estimate"),
    path("segments/overlap", questions.OverlapSegments.as_view(), name="segment-overlap"),
    path("segments/<int:segment_id>/mode", members.SegmentMode.as_view(), name="segment-mode"),
    path("segments/<int:segment_id>/members", members.SegmentMembers.as_view(), name="segment-members"),
    path("segments/<int:segment_id>/history", members.SegmentHistory.as_view(), name="segment-history"),
    path("segments/<int:segment_id>", segments.OneSegment.as_view(), name="segment"),
    path("segments/<int:segment_id>/explain", questions.ExplainSegment.as_view(), name="segment-explain"),
]

"""Mounted at /api/v1/."""

from django.urls import path

from tagging.api import corp_tags, interests, lifecycle, matrix, members, questions, rules, segments, tags

urlpatterns = [
    path("tags", tags.Tags.as_view(), name="tags"),
    path("tags/<int:tag_id>", tags.OneTag.as_view(), name="tag"),
    path("tags/<int:tag_id>/give", tags.GiveTag.as_view(), name="tag-give"),
    path("tags/<int:tag_id>/take", tags.TakeTag.as_view(), name="tag-take"),
    path("tag-groups", tags.Groups.as_view(), name="tag-groups"),
    path("tag-rules", rules.Rules.as_view(), name="tag-rules"),
    path("tag-rules/<int:rule_id>", rules.OneRule.as_view(), name="tag-rule"),
    path("tag-rules/<int:rule_id>/preview", rules.PreviewRule.as_view(), name="tag-rule-preview"),
    path("tag-rules/<int:rule_id>/apply", rules.ApplyRule.as_view(), name="tag-rule-apply"),
    path("tag-runs", rules.Runs.as_view(), name="tag-runs"),
    path("tag-runs/<int:run_id>", rules.OneRun.as_view(), name="tag-run"),
    path("corp-tags", corp_tags.CorpTags.as_view(), name="corp-tags"),
    path("corp-tags/<int:corp_tag_id>", corp_tags.OneCorpTag.as_view(), name="corp-tag"),
    path("corp-tags/libraries", corp_tags.Libraries.as_view(), name="tag-libraries"),
    path("corp-tags/libraries/<int:corp_id>", corp_tags.OneLibrary.as_view(), name="tag-library"),
    path("corp-tags/libraries/<int:corp_id>/round", corp_tags.Round.as_view(), name="tag-library-round"),
    path("interests/policy", interests.Policy.as_view(), name="interest-policy"),
    path("interests/recompute", interests.Recompute.as_view(), name="interest-recompute"),
    path("lifecycle/stages", lifecycle.Stages.as_view(), name="lifecycle-stages"),
    path("lifecycle/defaults", lifecycle.Defaults.as_view(), name="lifecycle-defaults"),
    path("lifecycle/matrix", matrix.Matrix.as_view(), name="lifecycle-matrix"),
    path("contacts/<int:contact_id>/tags", tags.ContactTags.as_view(), name="contact-tags"),
    path("contacts/<int:contact_id>/interests", interests.ContactInterests.as_view(), name="contact-interests"),
    path("contacts/<int:contact_id>/lifecycle", lifecycle.ContactStages.as_view(), name="contact-lifecycle"),
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

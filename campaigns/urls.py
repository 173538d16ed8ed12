from django.urls import path

from campaigns.api import contents, pushes, results

urlpatterns = [
    path("contents", contents.Contents.as_view(), name="contents"),
    path("contents/<int:content_id>", contents.OneContent.as_view(), name="content"),
    path("pushes", pushes.Pushes.as_view(), name="pushes"),
    path("pushes/<int:push_id>", pushes.OnePush.as_view(), name="push"),
    path("pushes/<int:push_id>/dry-run", results.DryRun.as_view(), name="push-dry-run"),
    path("pushes/<int:push_id>/send", pushes.Send.as_view(), name="push-send"),
    path("pushes/<int:push_id>/recall", pushes.Recall.as_view(), name="push-recall"),
    path("pushes/<int:push_id>/cancel", pushes.Cancel.as_view(), name="push-cancel"),
    path("pushes/<int:push_id>/deliveries", results.Deliveries.as_view(), name="push-deliveries"),
]

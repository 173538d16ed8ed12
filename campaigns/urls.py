from django.urls import path

from campaigns import api

urlpatterns = [
    path("contents", api.Contents.as_view(), name="contents"),
    path("contents/<int:content_id>", api.OneContent.as_view(), name="content"),
    path("pushes", api.Pushes.as_view(), name="pushes"),
    path("pushes/<int:push_id>", api.OnePush.as_view(), name="push"),
    path("pushes/<int:push_id>/dry-run", api.DryRun.as_view(), name="push-dry-run"),
    path("pushes/<int:push_id>/send", api.Send.as_view(), name="push-send"),
    path("pushes/<int:push_id>/recall", api.Recall.as_view(), name="push-recall"),
    path("pushes/<int:push_id>/cancel", api.Cancel.as_view(), name="push-cancel"),
    path("pushes/<int:push_id>/deliveries", api.Deliveries.as_view(), name="push-deliveries"),
]

from django.urls import path

from media import api

urlpatterns = [
    path("media", api.Media.as_view(), name="media"),
    path("media/<int:media_id>", api.OneMedia.as_view(), name="one-media"),
    path("media/<int:media_id>/file", api.MediaBytes.as_view(), name="media-file"),
]

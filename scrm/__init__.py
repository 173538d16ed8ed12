"""What wires the apps together: settings, urls, processes. No app imports it, but for `scrm.lib`."""

from .celery import app as celery_app

__all__ = ["celery_app"]

from django.apps import AppConfig


class ScrmConfig(AppConfig):
    """Holds the commands that need the whole house: up, backup, restore."""

    name = "scrm"

    def ready(self) -> None:
        # `@shared_task` binds to this application; importing it in scrm/__init__ would make the runtime need Celery.
        from scrm import celery  # noqa: F401

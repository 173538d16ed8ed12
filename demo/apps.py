from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Has no tables: the story and its command."""

    name = "demo"

from django.apps import AppConfig


class ScrmConfig(AppConfig):
    """Holds the commands that need the whole house: up, demo, backup, restore."""

    name = "scrm"

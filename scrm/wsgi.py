"""The WSGI application: Django, seeing the brand's part of the path as its script name."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scrm.settings")

django_application = get_wsgi_application()

from console.brand_path import brand_in_path  # noqa: E402 - settings come first

application = brand_in_path(django_application)

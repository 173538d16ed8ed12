"""All settings, read from the environment (docs/operations.md lists the variables); nothing is only in production."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.utils.translation import gettext_lazy as _

from scrm.runtime import environment

BASE_DIR = Path(__file__).resolve().parent.parent
ENV = environment.load()


def text(name: str, default: str | None = None) -> str:
    """A setting as text; without a default it must be there."""
    value = ENV.get(name, default)
    if value is None:
        raise RuntimeError(f"{name} is not set: put it into the environment or .env, or run `make up` first.")
    return value


def flag(name: str, default: bool = False) -> bool:
    """A setting as yes or no: 1, true, yes, on."""
    return text(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


def number(name: str, default: int) -> int:
    """A setting as a whole number."""
    return int(text(name, str(default)))


def database(url: str, **extra: Any) -> dict[str, Any]:
    """Django's form of a postgresql://user:password@host:port/name URL."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": number("ORCHARD_CONN_MAX_AGE", 0 if flag("ORCHARD_TESTING") else 60),
        "CONN_HEALTH_CHECKS": True,
        "TEST": {"NAME": text("ORCHARD_TEST_DB", "test_orchard")},
        **extra,
    }


DEBUG = flag("ORCHARD_DEBUG")
SECRET_KEY = text("DJANGO_SECRET_KEY")
# First encrypts, all decrypt: put a new key in front, run `manage.py rotate_secrets`, then drop the old one.
ORCHARD_SECRET_KEYS = [key for key in text("ORCHARD_SECRET_KEYS").split(",") if key]
ALLOWED_HOSTS = text("ORCHARD_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [origin for origin in text("ORCHARD_TRUSTED_ORIGINS", "").split(",") if origin]
PUBLIC_URL = text("ORCHARD_PUBLIC_URL", "http://127.0.0.1:8000")

INSTALLED_APPS = [
    "unfold",
    "scrm",
    "tenants",
    "events",
    "wecom",
    "media",
    "contacts",
    "commerce",
    "tagging",
    "points",
    "campaigns",
    "webhooks",
    "console",
    "demo",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "console.middleware.ContentSecurityPolicy",
    "console.middleware.NoNulBytes",
]

ROOT_URLCONF = "scrm.urls"
WSGI_APPLICATION = "scrm.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "console" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.nav.brands",
            ]
        },
    }
]

DATABASES = {"default": database(text("DATABASE_URL"))}
if "DATABASE_OWNER_URL" in ENV:
    # Migrations, partitions and test set-up. Web and worker processes never get this variable.
    DATABASES["owner"] = database(ENV["DATABASE_OWNER_URL"])
    DATABASES["owner"]["TEST"]["DEPENDENCIES"] = []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ATOMIC_REQUESTS = False  # a request opens its brand's scope itself; nesting would hide a missing one

REDIS_URL = text("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
        # A Redis that hangs must not hold a web request.
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 2},
    }
}

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_ALWAYS_EAGER = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Our own log lines carry ids; Celery would replace their format.
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    # kombu looks for unacknowledged tasks of dead workers only every 100 s otherwise.
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
}
CELERY_TASK_ROUTES = {
    # A long import must not hold up reactions.
    "events.tasks.run_import": {"queue": "plan"},
    "events.tasks.*": {"queue": "react"},
    "wecom.tasks.greet_inbox": {"queue": "welcome"},
    "wecom.tasks.*": {"queue": "wecom"},
    "contacts.tasks.*": {"queue": "wecom"},
    "media.tasks.make_copy": {"queue": "wecom"},
    "tagging.tasks.mark_corp": {"queue": "wecom"},
    "campaigns.tasks.plan*": {"queue": "plan"},
    "campaigns.tasks.*": {"queue": "wecom"},
    "webhooks.tasks.send": {"queue": "webhooks"},
}
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "events-sweep": {"task": "events.tasks.sweep", "schedule": timedelta(seconds=5)},
    "events-partitions": {"task": "events.tasks.ensure_partitions", "schedule": timedelta(hours=6)},
    "events-imports": {"task": "events.tasks.sweep_imports", "schedule": timedelta(seconds=30)},
    "events-imports-clean": {"task": "events.tasks.clean_imports", "schedule": timedelta(hours=6)},
    "wecom-inbox": {"task": "wecom.tasks.sweep_inbox", "schedule": timedelta(seconds=10)},
    "wecom-inbox-clean": {"task": "wecom.tasks.clean_inbox", "schedule": timedelta(hours=1)},
    "wecom-commands": {"task": "wecom.tasks.carry_out_commands", "schedule": timedelta(seconds=10)},
    "wecom-commands-sweep": {"task": "wecom.tasks.sweep_commands", "schedule": timedelta(hours=12)},
    "media-refresh": {"task": "media.tasks.refresh", "schedule": timedelta(minutes=5)},
    "media-sweep": {"task": "media.tasks.sweep", "schedule": timedelta(hours=6)},
    "contacts-sync": {"task": "contacts.tasks.sync_due", "schedule": timedelta(minutes=1)},
    "contacts-reconcile": {"task": "contacts.tasks.reconcile_due", "schedule": timedelta(minutes=5)},
    "campaigns-tick": {"task": "campaigns.tasks.tick", "schedule": timedelta(seconds=3)},
    "points-tiers": {"task": "points.tasks.tiers_tick", "schedule": timedelta(seconds=5)},
    "points-expiry": {"task": "points.tasks.expire_due", "schedule": timedelta(minutes=10)},
    "tagging-segments": {"task": "tagging.tasks.tick", "schedule": timedelta(seconds=2)},
    "tagging-expiry": {"task": "tagging.tasks.sweep_expired", "schedule": timedelta(minutes=1)},
    "webhooks-sweep": {"task": "webhooks.tasks.sweep", "schedule": timedelta(seconds=5)},
    "webhooks-clean": {"task": "webhooks.tasks.clean", "schedule": timedelta(hours=6)},
    "tenants-clean": {"task": "tenants.tasks.clean", "schedule": timedelta(hours=1)},
}
for _entry in CELERY_BEAT_SCHEDULE.values():
    # After an outage the latest tick is worth doing, not the thousand before it.
    _entry["options"] = {"expires": _entry["schedule"].total_seconds()}

AUTH_USER_MODEL = "tenants.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/login/"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = flag("ORCHARD_HTTPS")
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/"  # one session for all of a user's brands (/b/<slug>/…)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("ORCHARD_HTTPS") else None
# How many reverse proxies stand in front and append to X-Forwarded-For; log-ins are limited per address.
ORCHARD_PROXIES = number("ORCHARD_PROXIES", 0)
SECURE_SSL_REDIRECT = flag("ORCHARD_HTTPS_REDIRECT")
SECURE_HSTS_SECONDS = number("ORCHARD_HSTS_SECONDS", 0)

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", _("简体中文")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
if os.access(BASE_DIR, os.W_OK):
    STATIC_ROOT.mkdir(exist_ok=True)  # empty unless collectstatic ran; WhiteNoise warns without it
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# Files that brands keep (素材). Web and workers on several machines need one directory that all of them see.
ORCHARD_MEDIA_DIR = text("ORCHARD_MEDIA_DIR", str(environment.state_directory() / "media"))
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "kept": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": ORCHARD_MEDIA_DIR, "file_permissions_mode": 0o640},
    },
}

WECOM_API_BASE = text("WECOM_API_BASE", "https://qyapi.weixin.qq.com/cgi-bin/")
# Where a corp's administrator installs a provider's suite; the simulator has such a page too.
WECOM_INSTALL_URL = text("WECOM_INSTALL_URL", "https://open.work.weixin.qq.com/3rdapp/install")
WECOM_AUTHORIZE_URL = text("WECOM_AUTHORIZE_URL", "https://open.weixin.qq.com/connect/oauth2/authorize")
WECHAT_API_BASE = text("WECHAT_API_BASE", "https://api.weixin.qq.com/")
WECOM_TIMEOUT_SECONDS = number("WECOM_TIMEOUT_SECONDS", 10)
# What WeCom allows of one API, as calls/seconds: a corp, an address, an address of a provider. We stay a little below.
WECOM_CORP_LIMITS = text("WECOM_CORP_LIMITS", "10000/60,150000/3600")
WECOM_IP_LIMITS = text("WECOM_IP_LIMITS", "20000/60,600000/3600")
WECOM_PROVIDER_LIMITS = text("WECOM_PROVIDER_LIMITS", "40000/60,1200000/3600")
# A name for the address that calls leave from: installations of several addresses name each.
WECOM_EGRESS = text("WECOM_EGRESS", "default")

# How many full months of behaviour the log keeps; older months are dropped.
ORCHARD_LOG_MONTHS = number("ORCHARD_LOG_MONTHS", 25)

# How long a push that was sent can still be recalled.
ORCHARD_SEND_GRACE_SECONDS = number("ORCHARD_SEND_GRACE_SECONDS", 120)
# How soon after dispatch WeCom is first asked for results; later looks are further apart.
ORCHARD_POLL_SECONDS = number("ORCHARD_POLL_SECONDS", 60)

# Webhooks may go to private addresses and plain http: for receivers in the installation's own network, and for tests.
ORCHARD_WEBHOOKS_PRIVATE = flag("ORCHARD_WEBHOOKS_PRIVATE")

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["tenants.api_body.JSONAnswer"],
    "DEFAULT_PARSER_CLASSES": ["tenants.api_body.JSONBody"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.api_auth.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenants.api_auth.HasScope"],
    "DEFAULT_SCHEMA_CLASS": "tenants.api_schema.ProblemSchema",
    "EXCEPTION_HANDLER": "tenants.api_problem.problem_response",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Orchard 果园 API",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # Left to itself the generator names a set of choices after the field, and by a hash where two fields share a name.
    "ENUM_NAME_OVERRIDES": {
        "EventSenderEnum": ["api", "wecom", "system"],
        "IdentityEdgeEnum": ["seen", "merge"],
        "IdentityTypeEnum": "events.spelling.IDENTITY_SPACE",
        "IngestStatusEnum": ["accepted", "duplicate", "refused"],
        "PropertyTypeEnum": "events.declared.PROP_TYPES",
        "TierEndEnum": "points.models.TierRules.AtEnd",
        "TierMetricEnum": "points.models.TierRules.Metric",
        "TierWindowEnum": "points.models.TierRules.Window",
    },
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Orchard 果园",
    "SITE_HEADER": "Orchard 果园",
    "SITE_SYMBOL": "nutrition",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "LANGUAGES": {"action": "/language/"},
    "BORDER_RADIUS": "8px",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "console.nav.icon"}],
    "ENVIRONMENT": "console.nav.environment",
    "STYLES": ["console.nav.stylesheet"],
    "SCRIPTS": ["console.nav.script"],
    "COLORS": {
        "primary": {
            "50": "#f0fdfa",
            "100": "#ccfbf1",
            "200": "#99f6e4",
            "300": "#5eead4",
            "400": "#2dd4bf",
            "500": "#14b8a6",
            "600": "#0f766e",
            "700": "#115e59",
            "800": "#134e4a",
            "900": "#0b3b38",
            "950": "#042f2e",
        }
    },
    "SIDEBAR": {"navigation": "console.nav.sidebar"},
}
ORCHARD_ENVIRONMENT = text("ORCHARD_ENVIRONMENT", "")  # shown as a badge in the console: 演示, 测试

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "scrm.lib.logs.Formatter", "json": flag("ORCHARD_JSON_LOGS")}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": text("ORCHARD_LOG_LEVEL", "INFO")},
    "loggers": {"django.request": {"level": "ERROR"}, "celery": {"level": "WARNING"}},
}

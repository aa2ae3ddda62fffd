"""Environment → Django settings. Names the router's YAML file, parses none of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from router_site import secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("ROUTER_VAR_DIR", BASE_DIR / "var")).resolve()

_SHIPPED_CONFIG = BASE_DIR / "config" / "config.yaml"
# None: the defaults. A file that was named and is not there is an error, not the defaults.
ROUTER_CONFIG = (
    Path(os.environ["ROUTER_CONFIG"])
    if os.environ.get("ROUTER_CONFIG")
    else (_SHIPPED_CONFIG if _SHIPPED_CONFIG.exists() else None)
)

DEBUG = os.environ.get("DJANGO_DEBUG", "") == "1"
SECRET_KEY = os.environ.get("SECRET_KEY") or secret_key.load_or_create(VAR_DIR / "secret_key")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
CSRF_TRUSTED_ORIGINS = [origin for origin in os.environ.get("CSRF_TRUSTED_ORIGINS", "").split(",") if origin]

INSTALLED_APPS = [
    "cache_admin.apps.ConsoleSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "router_site",
    "responses_api",
    "cache_admin.apps.CacheAdminConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "cache_admin.security.ConsolePolicy",
    "cache_admin.unreadable.UnreadableSecrets",
]

ROOT_URLCONF = "router_site.urls"
ASGI_APPLICATION = "router_site.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _database(url: str) -> dict[str, object]:
    """`postgres://user:password@host:5432/name` or `sqlite:///path` → Django's DATABASES entry."""
    parts = urlsplit(url)
    if parts.scheme in ("postgres", "postgresql"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path.lstrip("/"),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
        }
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": url.removeprefix("sqlite:///"),
            "OPTIONS": {
                # The index is drained by one batch writer while the console reads: WAL lets both proceed.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
            },
        }
    sys.exit(f"DATABASE_URL: {parts.scheme!r} is not supported; use sqlite:///path or postgres://…")


DATABASES = {"default": _database(os.environ.get("DATABASE_URL", f"sqlite:///{VAR_DIR / 'router.sqlite3'}"))}

# django-redis, for console and tasks; our factory takes address, TLS and timeouts from the router's own configuration.
DJANGO_REDIS_CONNECTION_FACTORY = "responses_api.redis_connection.RouterConnectionFactory"
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": "redis://from-the-router-configuration",
        "KEY_PREFIX": "console",
        "OPTIONS": {"SERIALIZER": "django_redis.serializers.json.JSONSerializer"},
    }
}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# "1" lets anyone in, wherever the server listens; else anonymous only on loopback, while no key was ever made.
ROUTER_ALLOW_ANONYMOUS = os.environ.get("ROUTER_ALLOW_ANONYMOUS", "") == "1"
ROUTER_API_KEY_PEPPER = os.environ.get("API_KEY_PEPPER") or f"api-key:{SECRET_KEY}"
ROUTER_LOG_LEVEL = os.environ.get("ROUTER_LOG_LEVEL", "INFO")

SPECTACULAR_SETTINGS = {
    "TITLE": "responses-router",
    "DESCRIPTION": "The OpenAI Responses API in front of any OpenAI-compatible backend.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}

"""The console as Django knows it: an application, and the admin site that stands in for Django's own."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db.models.signals import post_migrate, post_save


class ConsoleSiteConfig(AdminConfig):
    """In `INSTALLED_APPS` in place of `django.contrib.admin`."""

    default = False
    default_site = "cache_admin.site.ConsoleSite"


class CacheAdminConfig(AppConfig):
    name = "cache_admin"
    verbose_name = "Console"
    default = True

    def ready(self) -> None:
        # Models may be imported only now.
        from django.contrib.admin.models import LogEntry

        from cache_admin.access import make_roles
        from cache_admin.audit import note_form

        post_migrate.connect(make_roles, sender=self)
        post_save.connect(note_form, sender=LogEntry)

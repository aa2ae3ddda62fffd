"""Redis: nodes, memory, keys by kind, the slow log."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from cache_admin import redis_facts, sources
from cache_admin.page import page, render


@page("redis/", "redis")
def redis(request: HttpRequest) -> HttpResponseBase:
    if not sources.has_redis():
        return render(request, "redis", {"title": "Redis", "facts": None})
    facts = redis_facts.gather()
    context = {
        "title": "Redis",
        "facts": facts,
        "kinds": [(kind, facts.estimated(kind)) for kind in facts.kinds],
        "tls": sources.config().response_api.redis.tls_enabled,
        "prefix": sources.prefix(),
    }
    return render(request, "redis", context)

"""`python -m bench.console`: what each page of the console costs with many rows, in the database of DATABASE_URL.

The pages are asked in this process, without a server in between: milliseconds are the page's own, the median of a few
askings; queries are counted. Needs a Redis by REDIS_URL. Rows are added until there are as many as asked for.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

BOUND_MS = 300
BOUND_QUERIES = 12
ASKED = 5


def main() -> None:
    options = _options()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "router_site.settings")
    import django

    django.setup(set_prefix=False)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from responses_api.models import ResponseIndex
    from router_site import celery  # noqa: F401 - the queues' broker

    missing = options.rows - ResponseIndex.objects.count()
    if missing > 0:
        call_command("seed_demo", no_requests=True, rows=missing)
    too_slow = [name for name, ms, queries in _measure() if ms > BOUND_MS or queries > BOUND_QUERIES]
    if too_slow:
        sys.exit(f"beyond {BOUND_MS} ms or {BOUND_QUERIES} queries: {', '.join(too_slow)}")


def _measure() -> list[tuple[str, float, int]]:
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    user, _ = User.objects.get_or_create(username="bench", is_staff=True, is_superuser=True)
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    found = []
    for path in _paths():
        taken, queries = [], 0
        for _ in range(ASKED):
            with CaptureQueriesContext(connection) as captured:
                began = time.perf_counter()
                status = client.get(path).status_code
                taken.append((time.perf_counter() - began) * 1000)
            queries = len(captured)
            if status not in (200, 302):
                sys.exit(f"{path}: HTTP {status}")
        found.append((path, statistics.median(taken), queries))
        print(f"{found[-1][1]:8.1f} ms  {queries:3d} queries  {path}", flush=True)
    return found


def _paths() -> list[str]:
    """Every list, with the filters that find much, little and nothing; every search; the pages of charts."""
    from django.db.models import Max

    from cache_admin.rows import Cursor
    from responses_api.models import ResponseIndex

    newest = ResponseIndex.objects.aggregate(at=Max("created_at"))["at"]
    middle = ResponseIndex.objects.order_by("-created_at", "-id")[ResponseIndex.objects.count() // 2]
    failed = ResponseIndex.objects.filter(status="failed").order_by("-created_at").first() or middle
    deep = Cursor(middle.created_at, middle.id)
    filters = (
        "",
        f"before={deep}",
        "status=failed",
        f"status=failed&before={deep}",
        "verdict=stale",
        "verdict=stale&model=mistral-small&status=failed",
        "backend=gpu-2&min_ms=20000",
        "project=demo-history&model=qwen3-8b",
        "min_ms=1000000",
        f"min_tokens=100000&before={deep}",
        f"since={newest:%Y-%m-%d}",
        "model=none-such",
        "api=chat",
        "stored=1&stream=1&background=1",
    )
    return [
        "/admin/",
        "/admin/?range=24h",
        "/admin/?range=7d",
        *(f"/admin/responses/?{each}" for each in filters),
        f"/admin/responses/{middle.id}/",
        f"/admin/responses/{middle.id}/chain/",
        f"/admin/search/?q={failed.id}",
        f"/admin/search/?q={failed.id[:12]}",
        "/admin/search/?q=resp_0",
        f"/admin/search/?q={failed.request_id}",
        "/admin/search/?q=conv_0",
        "/admin/search/?q=nothing-at-all",
        "/admin/conversations/",
        "/admin/cache/?range=7d&days=30",
        "/admin/cache/entries/",
        "/admin/backends/",
        "/admin/redis/",
        "/admin/workers/",
        "/admin/tail/",
        "/admin/audit/",
        "/admin/responses_api/apikey/",
        "/admin/responses_api/webhookdelivery/",
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.console", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="in the index (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()

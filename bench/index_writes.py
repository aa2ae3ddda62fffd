"""`python -m bench.index_writes`: how fast the worker writes index rows, in the database that DATABASE_URL names."""

from __future__ import annotations

import json
import os
import sys
import time

ENTRIES = 50_000


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "router_site.settings")
    import django

    django.setup(set_prefix=False)
    from django.core.management import call_command

    from responses_api import index_drain
    from responses_api.index_entry import IndexEntry

    call_command("migrate", verbosity=0)
    now = time.time()
    entries = [
        IndexEntry(
            id=f"resp_{number:024x}",
            project="default",
            created_at=now,
            expires_at=now + 86_400,
            request_id=f"req_{number:024x}",
            model="bench",
            status="completed",
            backend="bench",
            input_tokens=100,
            output_tokens=200,
            duration_ms=1.0,
        )
        for number in range(ENTRIES)
    ]
    size = index_drain.BATCH_SIZE
    began, spent = time.perf_counter(), time.process_time()
    for start in range(0, ENTRIES, size):
        batch = entries[start : start + size]
        index_drain.count_and_write(batch, index_drain.Drained())
    json.dump({"seconds": time.perf_counter() - began, "cpu": time.process_time() - spent}, sys.stdout)


if __name__ == "__main__":
    main()

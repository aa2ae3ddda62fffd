"""`manage.py seed_demo`"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from itertools import islice
from typing import Any

import httpx
from django.core.management.base import BaseCommand, CommandError

from cache_admin.demo_traffic import DemoTraffic, history
from responses_api import index_drain

BATCH = 5000


class Command(BaseCommand):
    help = (
        "Sends a few dozen requests of every kind to a running gateway, for the console to show; with --rows it also "
        "writes a history of rows for requests that were never made."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", default="http://127.0.0.1:8801", help="the gateway (default: %(default)s)")
        parser.add_argument("--api-key", default="", help="where it wants one")
        parser.add_argument("--model", default="demo", help="default: %(default)s")
        parser.add_argument("--rows", type=int, default=0, help="of made-up history (default: none)")
        parser.add_argument("--days", type=float, default=7, help="that the history covers (default: %(default)s)")
        parser.add_argument("--no-requests", action="store_true", help="only the history")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["no_requests"]:
            self._send(options)
        if options["rows"]:
            self._write(options["rows"], options["days"])

    def _send(self, options: dict[str, Any]) -> None:
        headers = {"authorization": f"Bearer {options['api_key']}"} if options["api_key"] else {}
        base_url = f"{options['url'].rstrip('/')}/v1"
        with httpx.Client(base_url=base_url, headers=headers, timeout=60, trust_env=False) as client:
            demo = DemoTraffic(client, options["model"])
            try:
                demo.send_all()
            except httpx.HTTPError as error:
                raise CommandError(f"{base_url} does not answer: {error}. Is the gateway running?") from None
        self.stdout.write(f"Sent {demo.sent} requests; {demo.refused} were refused, three of them on purpose.")

    def _write(self, rows: int, days: float) -> None:
        entries, began = history(rows, days, time.time()), time.perf_counter()
        while batch := list(islice(entries, BATCH)):
            index_drain.count_and_write(batch, index_drain.Drained())
        self.stdout.write(f"Wrote {rows:,} rows in {time.perf_counter() - began:.1f} s.")

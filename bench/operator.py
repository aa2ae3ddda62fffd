"""`python -m bench.operator URL SECONDS`: somebody who opens every page of the console once in so many seconds.

In a process of its own, so that the load does not wait for it.
"""

from __future__ import annotations

import re
import sys
import time

import httpx

USER, PASSWORD = "bench-operator", "bench-operator"
PAGES = (
    "", "?range=24h", "?range=7d", "responses/", "responses/?status=failed", "conversations/", "tail/",
    "search/?q=resp_0", "cache/", "cache/entries/", "cache/purge/", "cache/explain/", "backends/", "backends/answers/",
    "playground/", "redis/", "workers/", "audit/", "responses_api/apikey/", "responses_api/project/",
    "responses_api/webhookendpoint/", "responses_api/webhookdelivery/", "auth/user/",
)  # fmt: skip


def main() -> None:
    url, seconds = sys.argv[1], float(sys.argv[2])
    with httpx.Client(base_url=f"{url}/admin/", timeout=30) as client:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get("login/").text)
        assert token is not None
        form = {"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        assert client.post("login/", data=form).status_code == 302
        client.get("")  # the server's modules and templates are loaded
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.perf_counter()
        for number, page in enumerate(PAGES):
            time.sleep(max(0.0, began + seconds * number / len(PAGES) - time.perf_counter()))
            client.get(page).raise_for_status()


if __name__ == "__main__":
    main()

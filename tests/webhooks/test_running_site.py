"""Set up in the console, sent by the worker, accepted by the official client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.launcher.running_site import RunningSite, eventually
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.processes

CONFIG = """
response_api: {store_backend: redis}
webhooks: {allow_private_addresses: true}
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RunningSite]:
    config = tmp_path / "router.yaml"
    config.write_text(CONFIG)
    site = RunningSite(tmp_path / "var", "--config", str(config)).wait_until_ready()
    yield site
    site.stop()


class Console:
    """An administrator's browser, as far as forms go."""

    def __init__(self, site: RunningSite) -> None:
        self._http = httpx.Client(base_url=f"{site.url}/admin", follow_redirects=True)
        password = re.search(r"[Pp]assword\S*\s+(\S+)", site.output)
        assert password is not None, site.output
        self.submit("/login/", username="admin", password=password[1], next="/admin/")

    def close(self) -> None:
        self._http.close()

    def submit(self, path: str, **fields: str) -> str:
        self._http.get(path)
        answer = self._http.post(path, data={**fields, "csrfmiddlewaretoken": self._http.cookies["csrftoken"]})
        assert answer.status_code == 200, answer.text
        return answer.text

    def page(self, path: str) -> str:
        return self._http.get(path).text


@pytest.fixture
def console(site: RunningSite) -> Iterator[Console]:
    console = Console(site)
    yield console
    console.close()


def test_ends_of_background_runs_are_told(site: RunningSite, console: Console, receiver: Receiver) -> None:
    page = console.submit(
        "/responses_api/webhookendpoint/add/", project="1", url=receiver.url, description="ours", is_active="on"
    )
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", page)
    assert secret is not None, page
    receiver.statuses = (503, 200)
    completed = site.ask(input="hi", background=True).json()["id"]
    eventually(lambda: len(receiver.received) >= 2)
    first, second = (each.unwrap(secret[0]) for each in receiver.received)
    assert first == second
    assert (first.type, first.data.id) == ("response.completed", completed)
    eventually(lambda: "delivered" in console.page("/responses_api/webhookdelivery/?state__exact=delivered"))

    stuck = site.ask(input="hi", background=True, demo_script={"tokens": 3, "stall_after": 1}).json()["id"]
    httpx.post(f"{site.url}/v1/responses/{stuck}/cancel")
    eventually(lambda: len(receiver.received) == 3)
    third = receiver.received[2].unwrap(secret[0])
    assert (third.type, third.data.id) == ("response.cancelled", stuck)

    console.submit("/responses_api/webhookendpoint/", action="send_test", _selected_action="1")
    eventually(lambda: len(receiver.received) == 4)
    assert receiver.received[3].unwrap(secret[0]).data.id == "resp_test"

"""More than a process may serve at once: turned away in words, while what it took on is finished."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from responses_api.config.schema import RouterConfig
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway

BODY = {"model": "m", "input": "hi"}


@pytest.fixture
def router_config(router_config: RouterConfig) -> RouterConfig:
    return replace(router_config, max_in_flight=2)


@pytest.mark.parametrize("stream", [False, True])
def test_beyond_what_it_may_serve(http: httpx.Client, gateway: Gateway, backend: FakeBackend, stream: bool) -> None:
    stored = http.post("/responses", json=BODY).json()["id"]
    slow: dict[str, Any] = {"tokens": 8, "tokens_per_second": 10} if stream else {"delay_ms": 800}
    backend.script(times=2, **slow)
    with ThreadPoolExecutor(2) as pool:
        taken_on = [pool.submit(http.post, "/responses", json={**BODY, "stream": stream}) for _ in range(2)]
        backend.wait_for(in_flight=2)
        for path, body in (("/responses", BODY), ("/chat/completions", {"model": "m", "messages": []})):
            refused = http.post(path, json=body)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json()["error"]["code"] == "overloaded"
        assert http.get(f"/responses/{stored}").status_code == 200
        assert http.get(f"{gateway.url}/healthz").status_code == 200
        assert [each.result().status_code for each in taken_on] == [200, 200]
    assert all("response.completed" in each.result().text or not stream for each in taken_on)
    assert http.post("/responses", json=BODY).status_code == 200

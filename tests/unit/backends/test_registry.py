"""Model → endpoints → the one that serves."""

from __future__ import annotations

from collections import Counter

import pytest

from responses_api.backends.registry import Endpoint, Registry
from responses_api.backends.select import choose
from responses_api.config.schema import BackendConfig, ModelConfig, RouterConfig, VllmEndpoint
from responses_api.errors import ModelNotFound

CONFIG = RouterConfig(
    vllm_endpoints=(VllmEndpoint("gpu1", "10.0.0.1", 8000, 3), VllmEndpoint("gpu2", "::1", 8001, 1)),
    backends=(BackendConfig("openai", "https://api.example/v1/", models=("gpt", "shared")),),
    model_config={"qwen3": ModelConfig(("gpu2",)), "shared": ModelConfig(())},
)


def names(model: str) -> list[str]:
    return [endpoint.name for endpoint in Registry(CONFIG).endpoints_for(model)]


@pytest.mark.parametrize(
    ("model", "expected"),
    [("qwen3", ["gpu2"]), ("gpt", ["openai"]), ("shared", ["openai"]), ("anything", ["gpu1", "gpu2"])],
)
def test_a_model_has_its_endpoints(model: str, expected: list[str]) -> None:
    assert names(model) == expected


def test_a_model_that_nobody_could_know_does_not_exist() -> None:
    with pytest.raises(ModelNotFound):
        Registry(RouterConfig(backends=(BackendConfig("a", "http://h/v1", models=("m",)),))).endpoints_for("other")


def test_base_urls_are_ready_to_be_called() -> None:
    urls = {endpoint.name: endpoint.base_url for endpoint in Registry(CONFIG).endpoints}
    assert urls == {
        "gpu1": "http://10.0.0.1:8000/v1",
        "gpu2": "http://[::1]:8001/v1",
        "openai": "https://api.example/v1",
    }


def test_weights_share_the_requests() -> None:
    endpoints = Registry(CONFIG).endpoints_for("anything")
    drawn = Counter(choose(endpoints, draw / 1000).name for draw in range(1000))
    assert drawn == {"gpu1": 750, "gpu2": 250}


def test_weight_zero_serves_only_where_nothing_else_is_left() -> None:
    idle, busy = Endpoint("idle", "http://h/v1", weight=0), Endpoint("busy", "http://h/v1", weight=1)
    assert {choose([idle, busy], draw / 10).name for draw in range(10)} == {"busy"}
    assert {choose([idle, idle], draw / 10).name for draw in range(10)} == {"idle"}
    assert choose([idle], 0.5).name == "idle"

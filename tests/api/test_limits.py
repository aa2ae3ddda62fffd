"""Limits of projects and keys: what is refused, how it is said, and what is charged to whom."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest
import redis
from django.test import Client
from websockets.sync.client import connect

from responses_api import api_keys, limits
from responses_api.admin.projects import LIMITS
from responses_api.api import auth
from responses_api.config.schema import LimitsConfig, ModelConfig, Price, RedisConfig, ResponseCacheConfig, RouterConfig
from responses_api.models import ApiKey, Project
from tests.console_beside import console_beside
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway
from tests.worker import Worker

pytestmark = pytest.mark.django_db(transaction=True)
BODY = {"model": "m", "input": "hi"}
TEN_TOKENS = {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}

MakeClient = Callable[..., httpx.Client]
UsedOf = Callable[[ApiKey, str], limits.Used]


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    auth.forget()


@pytest.fixture
def router_config(router_config: RouterConfig) -> RouterConfig:
    return replace(router_config, response_cache=ResponseCacheConfig())


@pytest.fixture
def gateway(router_config: RouterConfig, settings: Any, worker: Worker) -> Iterator[Gateway]:
    settings.ROUTER_ALLOW_ANONYMOUS = False
    gateway = Gateway(router_config, enqueue=worker.enqueue)
    yield gateway
    gateway.stop()


def make_key(name: str = "one", *, project: dict[str, int] | None = None, **of_key: Any) -> tuple[ApiKey, str]:
    owner, _ = Project.objects.get_or_create(name="limited", defaults=project or {})
    key, secret = api_keys.create_key(owner, name)
    ApiKey.objects.filter(pk=key.pk).update(**of_key)
    return key, secret


@pytest.fixture
def client_of(gateway: Gateway) -> Iterator[MakeClient]:
    made: list[httpx.Client] = []

    def make(secret: str, to: Gateway = gateway) -> httpx.Client:
        headers = {"authorization": f"Bearer {secret}"}
        made.append(httpx.Client(base_url=to.base_url, headers=headers, timeout=10))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def used_of(redis_cli: Any, redis_config: RedisConfig) -> UsedOf:
    """What a subject of a key's project has used in this month."""
    return lambda key, subject: limits.used_this_month(
        redis_cli, redis_config.key_prefix, key.project.public_id, subject
    )


@pytest.fixture
def used(used_of: UsedOf) -> Callable[[ApiKey], int]:
    """Tokens of a key's project in this month."""
    return lambda key: used_of(key, "project").tokens


def statuses(client: httpx.Client, times: int, path: str = "/responses", **body: Any) -> list[int]:
    return [client.post(path, json={**BODY, **body}).status_code for _ in range(times)]


def test_requests_a_minute(client_of: MakeClient, backend: FakeBackend) -> None:
    client = client_of(make_key(requests_per_minute=3)[1])
    first = client.post("/responses", json=BODY)
    assert first.headers["x-ratelimit-limit-requests"] == "3"
    assert first.headers["x-ratelimit-remaining-requests"] == "2"
    assert first.headers["x-ratelimit-reset-requests"] == "20s"
    assert first.headers["ratelimit-policy"] == '"requests";q=3;w=60'
    assert first.headers["ratelimit"] == '"requests";r=2;t=20'
    assert statuses(client, 2) == [200, 200]
    refused = client.post("/responses", json=BODY)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert "3 requests a minute" in refused.json()["error"]["message"]
    assert 15 <= int(refused.headers["retry-after"]) <= 20
    assert 15_000 <= int(refused.headers["retry-after-ms"]) <= 20_000
    assert backend.calls()["chat"] == 3
    # What asks no backend is free.
    assert client.get(f"/responses/{first.json()['id']}").status_code == 200


def test_it_fills_evenly(client_of: MakeClient) -> None:
    client = client_of(make_key(requests_per_minute=600)[1])
    while client.post("/responses", json=BODY).status_code == 200:
        pass
    time.sleep(0.25)
    assert 1 <= statuses(client, 6).count(200) <= 4


def test_the_sdk_waits_and_succeeds(gateway: Gateway) -> None:
    _, secret = make_key(requests_per_minute=120)
    with openai.OpenAI(base_url=gateway.base_url, api_key=secret, max_retries=3) as sdk:
        for _ in range(123):
            assert sdk.responses.create(model="m", input="hi", store=False).status == "completed"


def test_tokens_are_taken_when_they_are_known(client_of: MakeClient, backend: FakeBackend) -> None:
    client = client_of(make_key(tokens_per_minute=25)[1])
    backend.script(times=None, usage=TEN_TOKENS)
    left = []
    for _ in range(3):
        answer = client.post("/responses", json=BODY)
        assert answer.status_code == 200
        left.append(int(answer.headers["x-ratelimit-remaining-tokens"]))
        time.sleep(0.05)
    assert left[0] == 25
    assert 15 <= left[1] <= 16
    assert 5 <= left[2] <= 7
    refused = client.post("/responses", json=BODY)
    assert refused.status_code == 429
    assert "25 tokens a minute" in refused.json()["error"]["message"]
    assert backend.calls()["chat"] == 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/responses", "/chat/completions"])
def test_hits_are_free(client_of: MakeClient, backend: FakeBackend, used: Any, stream: bool, path: str) -> None:
    key, secret = make_key(project={"tokens_per_month": 1000})
    client = client_of(secret)
    backend.script(usage=TEN_TOKENS)
    body = {"model": "m", "stream": stream}
    body |= {"input": "hi"} if path == "/responses" else {"messages": [{"role": "user", "content": "hi"}]}
    verdicts = []
    for _ in range(3):
        answer = client.post(path, json=body, headers={"x-cache-key": "k"})
        assert answer.status_code == 200
        verdicts.append(answer.headers["x-cache"])
        time.sleep(0.1)
    assert verdicts == ["MISS", "HIT", "HIT"]
    assert used(key) == 10


def test_a_month(client_of: MakeClient, backend: FakeBackend) -> None:
    client = client_of(make_key(project={"tokens_per_month": 15})[1])
    backend.script(times=None, usage=TEN_TOKENS)
    found = []
    for _ in range(3):
        found.append(client.post("/responses", json=BODY))
        time.sleep(0.05)
    assert [answer.status_code for answer in found] == [200, 200, 429]
    assert found[2].json()["error"]["code"] == "insufficient_quota"
    assert "monthly budget of this project is spent: 15 tokens" in found[2].json()["error"]["message"]
    assert "retry-after" not in found[2].headers


@pytest.mark.parametrize("path", ["/responses", "/chat/completions"])
def test_a_month_in_money(
    router_config: RouterConfig, client_of: MakeClient, backend: FakeBackend, path: str, used_of: UsedOf
) -> None:
    priced = replace(router_config, model_config={"m": ModelConfig(price=Price(input=150, output=600))})
    gateway = Gateway(priced)
    try:
        key, secret = make_key(money_per_month=Decimal("0.01"))
        client = client_of(secret, gateway)
        backend.script(times=None, usage={"prompt_tokens": 8, "completion_tokens": 7, "total_tokens": 15})
        body = BODY if path == "/responses" else {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        found = []
        for _ in range(3):
            found.append(client.post(path, json=body))
            time.sleep(0.05)
        assert used_of(key, key.subject).micros == 2 * (8 * 150 + 7 * 600)
    finally:
        gateway.stop()
    assert [answer.status_code for answer in found] == [200, 200, 429]
    assert found[2].json()["error"]["code"] == "insufficient_quota"
    assert "this API key is spent: 0.01, by the models' prices" in found[2].json()["error"]["message"]


def test_models_without_a_price_cost_nothing(client_of: MakeClient, used_of: UsedOf) -> None:
    key, secret = make_key(money_per_month=Decimal("0.01"))
    assert statuses(client_of(secret), 3) == [200] * 3
    time.sleep(0.05)
    assert used_of(key, key.subject).micros == 0


def test_keys_share_their_project_and_nothing_else(client_of: MakeClient) -> None:
    _, first = make_key("one", project={"requests_per_minute": 4}, requests_per_minute=3)
    _, second = make_key("two")
    one, two = client_of(first), client_of(second)
    assert statuses(one, 4) == [200, 200, 200, 429]
    # The one that was refused took nothing from the project.
    assert statuses(two, 2) == [200, 429]
    stranger = client_of(api_keys.create_key(Project.objects.create(name="other"), "x")[1])
    assert statuses(stranger, 3) == [200] * 3


def test_many_at_once_over_two_processes_get_exactly_what_there_is(
    client_of: MakeClient, router_config: RouterConfig, gateway: Gateway
) -> None:
    _, secret = make_key(requests_per_minute=22)
    other = Gateway(router_config)
    try:
        clients = [client_of(secret), client_of(secret, other)]
        # What a key is, the two of them know from one memory here, which is no place for two event loops at once.
        assert [statuses(client, 1) for client in clients] == [[200], [200]]
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda n: statuses(clients[n % 2], 1)[0], range(60)))
    finally:
        other.stop()
    assert set(found) == {200, 429}
    assert 20 <= found.count(200) <= 23  # a few come back while they ask


def test_background_runs_and_sockets_count_too(
    client_of: MakeClient, gateway: Gateway, backend: FakeBackend, used: Any
) -> None:
    key, secret = make_key(project={"tokens_per_month": 25, "requests_per_minute": 100})
    client = client_of(secret)
    backend.script(times=None, usage=TEN_TOKENS)
    run = client.post("/responses", json={**BODY, "background": True}).json()["id"]
    deadline = time.monotonic() + 10
    while client.get(f"/responses/{run}").json()["status"] != "completed" or used(key) != 10:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    address = gateway.base_url.replace("http", "ws") + "/responses"
    with connect(address, additional_headers={"authorization": f"Bearer {secret}"}) as socket:
        types = []
        for _ in range(3):
            socket.send(json.dumps({"type": "response.create", **BODY}))
            while (event := json.loads(socket.recv(5)))["type"] not in ("response.completed", "error"):
                pass
            types.append(event["type"])
            time.sleep(0.05)
    assert types == ["response.completed", "response.completed", "error"]
    assert event["error"]["code"] == "insufficient_quota"
    assert used(key) == 30


def test_a_limit_that_is_new_begins_full(client_of: MakeClient, backend: FakeBackend) -> None:
    key, secret = make_key(tokens_per_minute=1_000_000)
    client = client_of(secret)
    backend.script(times=None, usage=TEN_TOKENS)
    assert statuses(client, 20) == [200] * 20
    ApiKey.objects.filter(pk=key.pk).update(requests_per_minute=3, tokens_per_minute=0)
    auth.forget()
    assert statuses(client, 4) == [200, 200, 200, 429]
    ApiKey.objects.filter(pk=key.pk).update(requests_per_minute=0, tokens_per_minute=15)
    auth.forget()
    found = []
    for _ in range(3):
        found += statuses(client, 1)
        time.sleep(0.05)
    assert found == [200, 200, 429]


@pytest.mark.parametrize("fail_open", [True, False])
def test_redis_away(
    router_config: RouterConfig, own_valkey: Any, client_of: MakeClient, fail_open: bool, gateway: Gateway
) -> None:
    away = replace(router_config.response_api, redis=RedisConfig(address=own_valkey.address, max_retries=0))
    config = replace(router_config, response_api=away, limits=LimitsConfig(fail_open=fail_open))
    _, secret = make_key(requests_per_minute=1)
    other = Gateway(config)
    try:
        client = client_of(secret, other)
        assert statuses(client, 2, store=False) == [200, 429]
        own_valkey.stop()
        assert statuses(client, 2, store=False) == ([200, 200] if fail_open else [503, 503])
    finally:
        other.stop()


def test_buckets_do_not_stay(client_of: MakeClient, redis_cli: redis.Redis, redis_config: RedisConfig) -> None:
    client = client_of(make_key(requests_per_minute=10, tokens_per_minute=10)[1])
    assert statuses(client, 1) == [200]
    time.sleep(0.05)
    keys = list(redis_cli.scan_iter(f"*{redis_config.key_prefix}limits:*"))
    assert keys
    assert all(0 < redis_cli.ttl(key) <= limits.MONTH_SECONDS for key in keys)
    assert any(redis_cli.ttl(key) <= 60 for key in keys)


def test_the_console_sets_them_and_shows_what_is_used(
    client_of: MakeClient, gateway: Gateway, backend: FakeBackend, admin_client: Client, router_config: RouterConfig
) -> None:
    with console_beside(gateway, router_config):
        project = Project.objects.create(name="metered")
        form = dict.fromkeys(LIMITS, 0) | {"name": "metered", "requests_per_minute": 2, "tokens_per_month": 5000}
        path = f"/admin/responses_api/project/{project.pk}/change/"
        assert admin_client.post(path, form).status_code == 302
        key_form = dict.fromkeys(LIMITS, 0) | {"project": project.pk, "name": "k"}
        admin_client.post("/admin/responses_api/apikey/add/", key_form)
        _, secret = api_keys.create_key(project, "test")
        client = client_of(secret)
        backend.script(usage={"prompt_tokens": 1000, "completion_tokens": 234, "total_tokens": 1234})
        assert statuses(client, 3) == [200, 200, 429]
        time.sleep(0.05)
        listed = admin_client.get("/admin/responses_api/project/").content.decode()
        assert "5000" in listed
        assert "1,2" in admin_client.get(path).content.decode()
        assert admin_client.get("/admin/responses_api/apikey/").status_code == 200


def test_repeats_from_memory_are_requests_too(client_of: MakeClient, backend: FakeBackend) -> None:
    _, secret = make_key(requests_per_minute=6)
    client = client_of(secret)
    cached = {**BODY, "store": False}
    answers = [client.post("/responses", json=cached, headers={"x-cache-key": "r"}) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429] * 2
    assert answers[5].headers["x-cache"] == "HIT"

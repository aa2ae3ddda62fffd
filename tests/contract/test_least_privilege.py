"""The users that the documentation gives each role: everything works, and nothing was denied."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from django.test import Client

from responses_api import index_drain
from responses_api.cache import filing, filing_queue
from responses_api.cache.filing_queue import Filing
from responses_api.config.schema import RedisConfig, ResponseCacheConfig, RouterConfig
from responses_api.models import ResponseIndex
from responses_api.redis.sync import sync_client
from responses_api.task_notes import TaskNotes
from tests.console_beside import console_beside
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway
from tests.valkey import Valkey
from tests.worker import Worker

ROOT = Path(__file__).resolve().parents[2]
USERS = {
    line.split()[1]: line.split()[2:]
    for line in (ROOT / "docs/redis.md").read_text().splitlines()
    if line.startswith("user router-")
}

ELSEWHERE = {"ping", "select", "mget", "cluster|slots", "hello", "pttl", "xlen", "xtrim", "exists"}
"""Granted for other configurations, longer chains and logs, and backends that fail."""


@pytest.fixture
def admin(own_valkey: Valkey) -> Iterator[Any]:
    """May do anything; made the documented users."""
    with redis.Redis(port=own_valkey.port, protocol=2) as client:
        for name, rules in USERS.items():
            client.execute_command("ACL", "SETUSER", name, *rules)
        client.execute_command("ACL", "SETUSER", "default", "resetpass", ">admin")
        client.execute_command("AUTH", "admin")
        yield client


@pytest.fixture
def config_of(own_valkey: Valkey, admin: Any, router_config: RouterConfig) -> Callable[[str], RouterConfig]:
    def config_of(role: str) -> RouterConfig:
        server = RedisConfig(address=own_valkey.address, username=f"router-{role}", password="CHANGE-ME")
        api = replace(router_config.response_api, redis=server)
        return replace(router_config, response_api=api, response_cache=ResponseCacheConfig(max_bytes_per_project=1))

    return config_of


def test_both_roles_are_documented() -> None:
    assert set(USERS) == {"router-web", "router-worker"}


@pytest.mark.django_db
def test_everything_works_and_nothing_is_denied(
    config_of: Callable[[str], RouterConfig],
    admin: Any,
    admin_client: Client,
    backend: FakeBackend,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.ROUTER_ALLOW_ANONYMOUS = True
    monkeypatch.setattr(filing_queue, "GATHER_SECONDS", 0.02)
    worker_config = config_of("worker")
    worker, tasks = Worker(worker_config), sync_client(worker_config.response_api.redis)

    def file(filings: Sequence[Filing]) -> None:
        filing.file_all(tasks, worker_config, filings)

    gateway = Gateway(config_of("web"), enqueue=worker.enqueue, file=file)
    try:
        with httpx.Client(base_url=gateway.base_url, timeout=30) as http:
            use_it_all(http)
            worker.recover(later_seconds=3600)
            time.sleep(1.2)  # what was used is told once a second
            with console_beside(gateway, config_of("web")):
                use_the_console(http, admin_client, lambda: index_drain.drain(tasks, "sr:"))
        note_all(tasks)
        filing.sweep(tasks, worker_config, time.time() + 10**6)
        assert ResponseIndex.objects.count() > 5
    finally:
        gateway.stop()
        worker.stop()
        tasks.close()
    assert admin.execute_command("ACL", "LOG", NEVER_DECODE=True) == []
    used = {name.removeprefix("cmdstat_") for name in admin.info("commandstats")}
    granted = {rule[1:] for rules in USERS.values() for rule in rules if rule.startswith("+")}
    assert granted - used <= ELSEWHERE


def use_the_console(http: httpx.Client, browser: Client, drain: Callable[[], Any]) -> None:
    """Each of its pages, and each thing that it does to Redis."""
    browser.get("/admin/tail/")
    drain()
    headers = {"x-cache-key": "console"}
    answer = http.post("/responses", json={"model": "m", "input": "hi"}, headers=headers)
    response, entry = answer.json()["id"], answer.headers["x-cache-entry"]
    time.sleep(0.3)  # filed
    drain()
    for page in ("", "responses/", "tail/since/0-0/", "cache/", "cache/entries/", "backends/", "redis/", "workers/"):
        assert browser.get(f"/admin/{page}").status_code == 200, page
    for page in (f"responses/{response}/", f"cache/entries/{entry}/"):
        assert browser.get(f"/admin/{page}").status_code == 200, page
    assert "may not run" not in browser.get("/admin/redis/").content.decode()
    browser.post(f"/admin/cache/entries/{entry}/evict/", {"ban": "1", "project": "default"})
    browser.post(f"/admin/cache/entries/{entry}/unban/", {"project": "default"})
    browser.post("/admin/workers/retry/1-1/")
    assert http.delete(f"/responses/{response}").status_code == 200


def note_all(tasks: Any) -> None:
    """What a worker notes of its tasks."""
    notes = TaskNotes(tasks, "sr:")
    notes.began("1", "drain_index", [])
    notes.failed("1", "drain_index", [], ValueError())
    notes.ended("1", "drain_index", "FAILURE", is_noted=True)


def use_it_all(http: httpx.Client) -> None:
    """Each part of the API that keeps something."""

    def post(path: str, headers: Any = None, **body: Any) -> Any:
        answer = http.post(path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json() if "json" in answer.headers["content-type"] else answer.text

    first = post("/responses", model="m", input="hi")["id"]
    post("/responses", model="m", input="more", previous_response_id=first, stream=True)
    conversation = post("/conversations", items=[{"role": "user", "content": "hi"}])["id"]
    post("/responses", model="m", input="in it", conversation=conversation)
    assert len(http.get(f"/conversations/{conversation}/items").json()["data"]) == 3
    run = post("/responses", model="m", input="later", background=True, stream=True)
    assert "response.completed" in run
    post(f"/conversations/{conversation}", metadata={"a": "b"})
    assert http.delete(f"/conversations/{conversation}").status_code == 200
    cached = {"headers": {"x-cache-key": "k", "x-cache-tags": "t"}, "input": "cached"}
    for _ in range(2):
        post("/responses", model="m", **cached)
        post("/responses", model="m", **cached, stream=True)
        post("/chat/completions", model="m", messages=[{"role": "user", "content": "x"}], headers=cached["headers"])
    time.sleep(0.5)  # filed
    assert http.get("/cache/stats").status_code == 200
    post("/cache/explain", model="m", input="cached")
    post("/cache/purge", all=True)
    assert http.delete(f"/responses/{first}").status_code == 200

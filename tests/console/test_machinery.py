"""Overview, backends, Redis and workers: problems come first, and acting on what is there is safe and noted."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
import redis.exceptions
from django.test import Client

from cache_admin import access, queues, sources
from cache_admin.models import OperatorAction
from cache_admin.queues import Backlog, BrokerAway, Queue
from responses_api import pulse, task_notes
from responses_api.backends.fleet import Standing
from responses_api.backends.health import Probe, probes_key
from responses_api.background.shapes import Ended
from responses_api.models import BackendEndpoint, Project, WebhookDelivery, WebhookEndpoint
from responses_api.pulse import Report, TaskReport
from responses_api.task_notes import TaskNotes
from responses_api.webhooks import deliveries
from router_site import celery
from tests.console.conftest import Console
from tests.console.test_responses import text_of
from tests.fake_backend import FakeBackend


@pytest.fixture(autouse=True)
def _quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "queues", lambda: [Queue("interactive", 0, None)])


def report(console: Console, **fields: Any) -> None:
    """A process says how it is doing."""
    told = Report(id=pulse.new_process_id(), **{"kind": "worker", "name": "worker@h", "started_at": 0.0, **fields})
    console.redis.sadd(pulse.processes_key(console.prefix), told.id)
    console.redis.set(pulse.process_key(console.prefix, told.id), pulse.encode(told), ex=10)


def test_all_is_well_or_what_is_not(
    console: Console, viewer: Client, backend: FakeBackend, django_assert_max_num_queries: Any
) -> None:
    report(console)
    console.ask()
    with django_assert_max_num_queries(12):
        page = text_of(viewer, "/admin/")
    assert "No problem is known." in page
    backend.script(status=400)
    console.send({"model": "m", "input": "hi"})
    page = text_of(viewer, "/admin/")
    assert "1 requests failed in the last hour (50.0 %)" in page
    assert "No problem is known." not in page


@pytest.mark.parametrize(
    ("standing", "probe", "drained", "words"),
    [
        (Standing("open", 0, "connection refused"), None, False, "Backend fake is not asked: connection refused"),
        (Standing("half_open"), None, False, "Backend fake is being tried again"),
        (Standing(), Probe(0, 1, 2, "does not answer probes (ConnectError)"), False, "fake does not answer probes"),
        (Standing(), None, True, "Every backend is drained: nothing can be answered"),
    ],
)
def test_sick_backends_are_problems(
    console: Console, viewer: Client, standing: Standing, probe: Probe | None, drained: bool, words: str
) -> None:
    report(console)
    report(console, kind="web", name="web@h", endpoints={"fake": standing})
    if probe is not None:
        console.redis.hset(probes_key(console.prefix), "fake", msgspec.json.encode(probe))
    if drained:
        BackendEndpoint.objects.create(name="fake", state="drained")
    assert words in text_of(viewer, "/admin/")
    page = text_of(viewer, "/admin/backends/")
    assert "fake" in page
    assert text_of(viewer, "/admin/backends/fake/").count(standing.state) >= 1


def test_other_problems_each_lead_to_their_place(
    console: Console, viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = text_of(viewer, "/admin/")
    assert "No worker is alive" in page
    report(console, lag_ms=900.0)
    monkeypatch.setattr(queues, "queues", lambda: [Queue("interactive", 7, 120.0)])
    monkeypatch.setattr(queues, "backlog", lambda: Backlog(1234, 60.0, 0))
    TaskNotes(console.redis, console.prefix).failed("1", "drain_index", [], ValueError("no such table"))
    endpoint = WebhookEndpoint.objects.create(project=Project.objects.get(public_id="default"), url="https://h.example")
    deliveries.listeners.forget()
    deliveries.announce(Ended("default", "resp_1", "completed", time.time()))
    WebhookDelivery.objects.filter(endpoint=endpoint).update(state="failed")
    page = text_of(viewer, "/admin/")
    for words in (
        "worker@h (pid",
        "900 ms late: overloaded",
        "7 wait in interactive, for 2 min by now",
        "The index is 1 min behind: 1,234 entries wait",
        "1 task failed in the last hour, the newest drain_index",
        "1 webhook delivery given up today",
    ):
        assert words in page, words
    assert "No worker is alive" not in page


def test_the_overview_says_that_redis_is_away(
    console: Console, viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            raise redis.exceptions.ConnectionError("Connection refused")

    monkeypatch.setattr(sources, "redis", Away)
    assert "Redis does not answer: Connection refused" in text_of(viewer, "/admin/")
    for path in ("/admin/backends/", "/admin/redis/", "/admin/workers/", "/admin/cache/entries/", "/admin/tail/"):
        page = text_of(viewer, path, 503)
        assert "Connection refused" in page


def test_the_broker_may_be_away(console: Console, viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> list[Queue]:
        raise BrokerAway("Connection refused")

    monkeypatch.setattr(queues, "queues", away)
    assert "The broker does not answer: Connection refused" in text_of(viewer, "/admin/")
    assert "The broker does not answer: Connection refused" in text_of(viewer, "/admin/workers/")


def test_a_backend_is_drained_activated_and_probed(console: Console, operator: Client, backend: FakeBackend) -> None:
    assert "finishes what runs" in operator.post("/admin/backends/fake/drain/", follow=True).content.decode()
    assert BackendEndpoint.objects.get().state == "drained"
    assert ">drained<" in text_of(operator, "/admin/backends/")
    assert "is asked again" in operator.post("/admin/backends/fake/activate/", follow=True).content.decode()
    assert BackendEndpoint.objects.get().state == "active"
    page = operator.post("/admin/backends/fake/probe/", follow=True).content.decode()
    assert "answered with HTTP 200" in page
    BackendEndpoint.objects.create(name="gone", base_url="http://127.0.0.1:9/v1")
    assert (
        "does not answer (ConnectError)" in operator.post("/admin/backends/gone/probe/", follow=True).content.decode()
    )
    assert list(OperatorAction.objects.order_by("pk").values_list("action", "target")) == [
        ("drain", "fake"),
        ("activate", "fake"),
        ("probe", "fake"),
        ("probe", "gone"),
    ]
    for unknown in ("/admin/backends/nobody/", "/admin/backends/nobody/drain/", "/admin/backends/fake/explode/"):
        assert operator.post(unknown).status_code == 404


def test_an_address_shows_no_password(console: Console, viewer: Client) -> None:
    BackendEndpoint.objects.create(name="new", base_url="http://user:hunter2@127.0.0.1:9/v1", api_key="sk-secret")
    for path in ("/admin/backends/", "/admin/backends/new/", "/admin/"):
        page = text_of(viewer, path)
        assert "hunter2" not in page
        assert "sk-secret" not in page


def test_the_playground_shows_both_translations(console: Console, operator: Client, backend: FakeBackend) -> None:
    body = '{"model": "m", "instructions": "Be brief.", "input": "What is 6 * 7?", "stream": true}'
    page = operator.post("/admin/playground/", {"backend": "fake", "body": body}).content.decode()
    assert "/chat/completions" in page
    assert "&quot;messages&quot;" in page
    assert "&quot;object&quot;: &quot;chat.completion&quot;" in page
    assert "&quot;object&quot;: &quot;response&quot;" in page
    assert backend.calls()["chat"] == 1
    assert not list(console.redis.scan_iter(f"{console.prefix}response:*"))
    for wrong, words in (("{", "JSON"), ('{"input": "x"}', "model")):
        page = operator.post("/admin/playground/", {"backend": "fake", "body": wrong}).content.decode()
        assert words in page
    page = operator.post("/admin/playground/", {"backend": "nobody", "body": body}).content.decode()
    assert "There is no backend" in page
    backend.script(status=500)
    assert "problems" in operator.post("/admin/playground/", {"backend": "fake", "body": body}).content.decode()


def test_redis_is_told_of_without_listing_its_keys(
    console: Console, viewer: Client, django_assert_max_num_queries: Any
) -> None:
    console.ask()
    console.redis.config_resetstat()
    with django_assert_max_num_queries(12):
        page = text_of(viewer, "/admin/redis/")
    assert "noeviction" in page
    assert ">response<" in page
    called = console.redis.info("commandstats")
    assert "cmdstat_keys" not in called
    assert called["cmdstat_scan"]["calls"] <= 10


def test_workers_and_what_they_run(console: Console, viewer: Client, django_assert_max_num_queries: Any) -> None:
    notes = TaskNotes(console.redis, console.prefix)
    notes.began("t1", "drain_index", [])
    notes.ended("t1", "drain_index", "SUCCESS", is_noted=True)
    report(console, tasks=[TaskReport("t2", "run_response", "resp_abc", time.time())], concurrency=64)
    with django_assert_max_num_queries(12):
        page = text_of(viewer, "/admin/workers/")
    for words in ("worker@h", "64", "run_response", "resp_abc", "drain_index", ">success<"):
        assert words in page, words
    assert "retry" not in page


def test_a_failed_task_is_tried_again_once(console: Console, operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    task = celery.app.tasks["run_response"]
    monkeypatch.setattr(type(task), "apply_async", lambda self, args, **_: sent.append((self.name, args)))
    notes = TaskNotes(console.redis, console.prefix)
    notes.failed("t1", "run_response", ["resp_1"], ValueError("boom"))
    notes.failed("t2", "no_such_task", [], ValueError("boom"))
    notes.failed("t3", "run_response", ["resp_2"], ValueError("boom"))
    third, second, first = task_notes.failures(console.redis, console.prefix, 10)
    assert "boom" in text_of(operator, "/admin/workers/")

    def act(key: str, **form: str) -> str:
        return str(operator.post(f"/admin/workers/retry/{key}/", form, follow=True).content.decode())

    assert "in its queue again" in act(first.key)
    assert "saw to it already" in act(first.key)
    assert "no task" in act(second.key)
    assert "off the list" in act(third.key, drop="1")
    assert sent == [("run_response", ("resp_1",))]
    assert operator.post("/admin/workers/retry/nonsense/").status_code == 404


def test_viewers_act_on_nothing(console: Console, as_role: Any) -> None:
    viewer = as_role(access.VIEWER)
    for path in ("backends/fake/drain/", "backends/fake/probe/", "workers/retry/1-1/", "reveal/"):
        assert viewer.post(f"/admin/{path}").status_code == 403
    assert viewer.get("/admin/playground/").status_code == 403
    page = text_of(viewer, "/admin/backends/")
    assert "drain</button>" not in page
    assert not BackendEndpoint.objects.exists()

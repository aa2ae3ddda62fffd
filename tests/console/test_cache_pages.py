"""The cache in the console: what it saved, what it holds, and the ways to make it forget."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client

from cache_admin import access, charts
from cache_admin.models import OperatorAction
from tests.console.conftest import Console
from tests.console.test_responses import text_of, unmask
from tests.fake_backend import FakeBackend


def cached(console: Console, text: str = "hi", times: int = 2, key: str = "session", **headers: str) -> str:
    """Asked so often, and filed; the entry's id."""
    body = {"model": "m", "input": text, "temperature": 0.5}
    answer = console.send(body, x_cache_key=key, **headers)
    time.sleep(0.1)  # filed
    for _ in range(times - 1):
        answer = console.send(body, x_cache_key=key, **headers)
        assert answer.headers["x-cache"] == "HIT"
    return str(answer.headers["x-cache-entry"])


def test_savings_are_told_in_tokens_and_money(
    console: Console, viewer: Client, backend: FakeBackend, django_assert_max_num_queries: Any
) -> None:
    backend.script(usage={"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8})
    cached(console, times=3)
    with django_assert_max_num_queries(12):
        page = text_of(viewer, "/admin/cache/")
    assert "66.7 %" in page
    days = console.http.get("/cache/stats").json()["days"]
    # Two hits of 3 and 5 tokens, at 1 and 2 each.
    assert [day["saved_money"] for day in days] == [26.0]
    assert '<td class="n">26</td>' in page


@pytest.mark.parametrize("path", ["/responses", "/chat/completions"])
def test_an_expired_answer_for_a_failed_one_is_one_request(console: Console, backend: FakeBackend, path: str) -> None:
    ask: dict[str, Any] = {"model": "m"}
    ask |= {"input": "hi"} if path == "/responses" else {"messages": [{"role": "user", "content": "hi"}]}
    console.send(ask, path, x_cache_key="k", x_cache_ttl="1")
    time.sleep(1.1)
    backend.script(status=500)
    answer = console.send(ask, path, x_cache_key="k", cache_control="stale-if-error=60")
    assert (answer.status_code, answer.headers["x-cache"]) == (200, "STALE")
    console.drain_all()
    assert charts.timeline(charts.RANGES["1h"]).total.requests == 2


def test_an_entry_with_its_question_answer_and_askers(
    console: Console, operator: Client, django_assert_max_num_queries: Any
) -> None:
    entry = cached(console, "the question", x_cache_tags="autumn")
    with django_assert_max_num_queries(12):
        listed = text_of(operator, "/admin/cache/entries/?sort=hits")
    assert entry in listed
    assert "autumn" in listed
    with django_assert_max_num_queries(12):
        page = text_of(operator, f"/admin/cache/entries/{entry}/")
    assert page.count('<span class="mark completed">') == 2
    assert ">0.5<" not in page
    assert "the question" not in text_of(operator, f"/admin/cache/entries/{entry}/exchange/")
    unmask(operator)
    assert "the question" in text_of(operator, f"/admin/cache/entries/{entry}/exchange/")
    assert ">0.5<" in text_of(operator, f"/admin/cache/entries/{entry}/")
    digest = entry.removeprefix("cache_")
    assert text_of(operator, f"/admin/responses/?cache_entry={digest}").count('class="mark completed"') == 2


def test_a_chat_answer_is_read_as_well(console: Console, operator: Client) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "by the other door"}]}
    entry = console.send(body, "/chat/completions", x_cache_key="s").headers["x-cache-entry"]
    unmask(operator)
    exchange = text_of(operator, f"/admin/cache/entries/{entry}/exchange/")
    assert exchange.count("by the other door") == 2


def test_evicting_one(console: Console, operator: Client) -> None:
    entry, other = cached(console, "one"), cached(console, "two")
    assert "at once" in text_of(operator, f"/admin/cache/entries/{entry}/evict/")
    operator.post(f"/admin/cache/entries/{entry}/evict/")
    asked = {
        text: console.send({"model": "m", "input": text, "temperature": 0.5}, x_cache_key="session")
        for text in ("one", "two")
    }
    assert {text: answer.headers["x-cache"] for text, answer in asked.items()} == {"one": "MISS", "two": "HIT"}
    assert other != entry
    assert OperatorAction.objects.filter(action="evict", target=entry).count() == 1


def test_a_wrong_answer_is_banned_and_pardoned(console: Console, operator: Client) -> None:
    entry = cached(console)
    ask = {"model": "m", "input": "hi", "temperature": 0.5}
    assert "until unbanned" in text_of(operator, f"/admin/cache/entries/{entry}/evict/?ban")
    operator.post(f"/admin/cache/entries/{entry}/evict/", {"ban": "1", "reason": "names a wrong price"})
    assert [console.send(ask, x_cache_key="session").headers["x-cache"] for _ in range(2)] == ["BYPASS"] * 2
    page = text_of(operator, "/admin/cache/")
    assert "names a wrong price" in page
    assert "banned" in text_of(operator, f"/admin/cache/entries/{entry}/")
    operator.post(f"/admin/cache/entries/{entry}/unban/", {"project": "default"})
    assert console.send(ask, x_cache_key="session").headers["x-cache"] == "MISS"
    assert set(OperatorAction.objects.values_list("action", flat=True)) == {"ban", "unban"}


@pytest.mark.parametrize(
    ("by", "value", "gone"),
    [
        ("namespace", "session", {"one"}),
        ("tag", "autumn", {"two"}),
        ("model", "m", {"one", "two"}),
        ("everything", "", {"one", "two"}),
        ("tag", "unknown", set()),
    ],
)
def test_purging_counts_first(console: Console, operator: Client, by: str, value: str, gone: set[str]) -> None:
    cached(console, "one")
    cached(console, "two", key="other", x_cache_tags="autumn")
    form = {"project": "default", "by": by, "value": value}
    page = operator.post("/admin/cache/purge/", form).content.decode()
    assert f"<b>{len(gone)}</b> entr" in page
    operator.post("/admin/cache/purge/", {**form, "sure": "1"})
    assert {text for text in ("one", "two") if _is_gone(console, text)} == gone
    assert OperatorAction.objects.get().action == "purge"


def _is_gone(console: Console, text: str) -> bool:
    keys = {"one": "session", "two": "other"}
    body = {"model": "m", "input": text, "temperature": 0.5}
    return bool(console.send(body, x_cache_key=keys[text]).headers["x-cache"] == "MISS")


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"project": "default", "by": "tag", "value": " "}, "Say which tag"),
        ({"project": "nobody", "by": "tag", "value": "x"}, "Choose a project"),
        ({"project": "default", "by": "shape", "value": "x"}, "Choose a project"),
    ],
)
def test_a_purge_of_nothing_is_refused(console: Console, operator: Client, form: dict[str, str], words: str) -> None:
    answer = operator.post("/admin/cache/purge/", {**form, "sure": "1"})
    assert answer.status_code == 400
    assert words in answer.content.decode()


def test_explaining(console: Console, viewer: Client) -> None:
    cached(console)
    body = '{"model": "m", "input": "hi", "temperature": 0.5}'
    form = {"project": "default", "body": body, "headers": "x-cache-key: session"}
    assert "A hit" in viewer.post("/admin/cache/explain/", form).content.decode()
    other = {**form, "body": body.replace("0.5", "0.6")}
    page = viewer.post("/admin/cache/explain/", other).content.decode()
    assert "A miss" in page
    assert "differs in temperature" in page
    assert (
        "Not cacheable: not asked for" in viewer.post("/admin/cache/explain/", {**form, "headers": ""}).content.decode()
    )
    assert "problems" in viewer.post("/admin/cache/explain/", {**form, "body": "{"}).content.decode()


@pytest.mark.parametrize("entry", ["cache_x", "cache_" + "0" * 64, "nonsense"])
def test_an_unknown_entry_is_a_404(console: Console, operator: Client, entry: str) -> None:
    for part in ("", "exchange/", "evict/"):
        assert operator.get(f"/admin/cache/entries/{entry}/{part}").status_code == 404


def test_a_viewer_changes_nothing(console: Console, as_role: Any) -> None:
    viewer, entry = as_role(access.VIEWER), cached(console)
    for path in (f"entries/{entry}/evict/", f"entries/{entry}/unban/", "purge/"):
        assert (
            viewer.post(f"/admin/cache/{path}", {"by": "everything", "project": "default", "sure": "1"}).status_code
            == 403
        )
    assert (
        console.send({"model": "m", "input": "hi", "temperature": 0.5}, x_cache_key="session").headers["x-cache"]
        == "HIT"
    )

"""Responses in the console: found, read by those who may, and told apart by why there is nothing to read."""

from __future__ import annotations

import csv
import json
import re
import time
from typing import Any
from urllib.parse import quote

import pytest
from asgiref.sync import async_to_sync
from django.test import Client
from django.utils.html import escape

from cache_admin.models import OperatorAction
from responses_api.models import ResponseIndex
from tests.console.conftest import Console
from tests.fake_backend import FakeBackend

LIST = "/admin/responses/"


def text_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, path
    return answer.content.decode()


def unmask(client: Client) -> None:
    client.post("/admin/reveal/", {"revealed": "1", "back": "/admin/"})


def test_a_response_is_listed_found_and_read(
    console: Console, operator: Client, django_assert_max_num_queries: Any
) -> None:
    response = console.ask({"input": "What is it?", "instructions": "Be <b>brief</b>.", "metadata": {"k": "v"}})
    with django_assert_max_num_queries(12):
        assert response["id"] in text_of(operator, LIST)
    with django_assert_max_num_queries(12):
        page = text_of(operator, f"{LIST}{response['id']}/")
    assert "bypass" in page
    exchange = text_of(operator, f"{LIST}{response['id']}/exchange/")
    assert "What is it?" not in exchange
    assert "11 characters" in exchange
    unmask(operator)
    exchange = text_of(operator, f"{LIST}{response['id']}/exchange/")
    assert "What is it?" in exchange
    assert escape(response["output_text"]) in exchange
    assert "Be &lt;b&gt;brief&lt;/b&gt;." in exchange
    told = json.loads(text_of(operator, f"{LIST}{response['id']}/json/?whole"))
    assert told["response"]["id"] == response["id"]
    assert list(OperatorAction.objects.order_by("at").values_list("name", "action", "target")) == [
        ("console-operator", "unmask", "payloads"),
        ("console-operator", "reveal", response["id"]),
    ]


def test_a_viewer_reads_no_words(console: Console, viewer: Client) -> None:
    response = console.ask({"input": "secret words", "metadata": {"k": "secret value"}})
    unmask(viewer)
    assert viewer.post("/admin/reveal/", {"revealed": "1"}).status_code == 403
    pages = [text_of(viewer, f"{LIST}{response['id']}/{part}") for part in ("", "exchange/")]
    assert "secret" not in "".join(pages)
    assert escape(response["output_text"]) not in "".join(pages)
    for part in ("json/", "json/?whole", "text/0/", "delete/"):
        assert viewer.get(f"{LIST}{response['id']}/{part}").status_code == 403
    assert not OperatorAction.objects.exists()


def test_tools_reasoning_and_images(console: Console, operator: Client) -> None:
    pixels = "data:image/png;base64,iVBORw0KGgo="
    items = [
        {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": '{"city":"Lisbon"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "21 degrees"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "I think."}]},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look:"},
                {"type": "input_image", "image_url": pixels},
                {"type": "input_image", "image_url": "https://elsewhere.example/a.png"},
            ],
        },
    ]
    response = console.ask({"input": items})
    unmask(operator)
    exchange = text_of(operator, f"{LIST}{response['id']}/exchange/")
    assert "get_weather" in exchange
    assert "&quot;city&quot;: &quot;Lisbon&quot;" in exchange
    assert "21 degrees" in exchange
    assert "no output here" not in exchange
    assert "I think." in exchange
    assert f'src="{pixels}"' in exchange
    # Named, never fetched.
    assert 'src="https' not in exchange
    assert "https://elsewhere.example/a.png" in exchange


def test_long_texts_are_cut_and_whole_on_demand(console: Console, operator: Client) -> None:
    text = "x" * 10_000 + "the end"
    response = console.ask({"input": text})
    unmask(operator)
    assert "the end" not in text_of(operator, f"{LIST}{response['id']}/exchange/")
    assert text_of(operator, f"{LIST}{response['id']}/text/0/") == text
    assert operator.get(f"{LIST}{response['id']}/text/99/").status_code == 404


def test_nothing_to_read_has_a_reason(console: Console, operator: Client, backend: FakeBackend) -> None:
    unstored, deleted = console.ask({"store": False}), console.ask()
    console.http.delete(f"/responses/{deleted['id']}")
    console.drain()
    assert "asked for &#x27;store: false&#x27;" in text_of(operator, f"{LIST}{unstored['id']}/")
    assert "It was deleted on" in text_of(operator, f"{LIST}{deleted['id']}/")
    backend.script(status=400)
    assert console.send({"model": "m", "input": "hi"}).status_code == 400
    failed = ResponseIndex.objects.get(status="failed")
    assert "It failed before there was an answer" in text_of(operator, f"{LIST}{failed.id}/")
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    console.send(chat, "/chat/completions")
    passed = ResponseIndex.objects.get(api="chat")
    assert "are passed on" in text_of(operator, f"{LIST}{passed.id}/")


def test_gone_from_the_store_is_said_so(console: Console, operator: Client) -> None:
    response = console.ask()
    console.redis.delete(f"{console.prefix}response:{response['id']}")
    assert "it has expired, or the store has lost it" in text_of(operator, f"{LIST}{response['id']}/")


def test_a_damaged_record_is_no_500(console: Console, operator: Client) -> None:
    response = console.ask()
    console.redis.set(f"{console.prefix}response:{response['id']}", b"{damaged")
    assert "cannot be read" in text_of(operator, f"{LIST}{response['id']}/")
    assert text_of(operator, f"{LIST}{response['id']}/exchange/")


def test_a_thousand_items_come_in_portions(console: Console, operator: Client) -> None:
    response = console.ask({"input": [{"role": "user", "content": f"number {n}."} for n in range(500)]})
    unmask(operator)
    path, found = f"{LIST}{response['id']}/exchange/", list[str]()
    for start, more in ((0, "301 more items"), (200, "101 more items"), (400, "")):
        page = text_of(operator, f"{path}?from={start}")
        found += re.findall(r"<span>number (\d+)\.", page)
        assert ("more items" in page) is bool(more)
        assert more in page
    assert found == [str(n) for n in range(500)]
    assert text_of(operator, f"{path}?from=x").count("<li") == 200


@pytest.mark.parametrize("unknown", ["resp_" + "0" * 24, "resp_../x", "nonsense", "resp_%00"])
def test_an_unknown_one_is_a_404(console: Console, operator: Client, unknown: str) -> None:
    for part in ("", "exchange/", "chain/", "json/", "delete/"):
        assert operator.get(f"{LIST}{unknown}/{part}").status_code == 404


def test_deleting_says_what_goes_and_does_it(console: Console, operator: Client) -> None:
    first = console.ask()
    console.ask({"previous_response_id": first["id"]})
    asked = text_of(operator, f"{LIST}{first['id']}/delete/")
    assert "1 response that continued it" in asked
    assert console.http.get(f"/responses/{first['id']}").status_code == 200
    page = operator.post(f"{LIST}{first['id']}/delete/", follow=True).content.decode()
    assert "is deleted" in page
    assert console.http.get(f"/responses/{first['id']}").status_code == 404
    assert OperatorAction.objects.get().action == "delete"
    again = operator.post(f"{LIST}{first['id']}/delete/", follow=True).content.decode()
    assert "nothing to delete" in again


def test_a_chain_shows_branches_and_gaps(console: Console, operator: Client) -> None:
    first = console.ask()
    second = console.ask({"previous_response_id": first["id"]})
    third = console.ask({"previous_response_id": second["id"]})
    branch = console.ask({"previous_response_id": second["id"]})
    console.http.delete(f"/responses/{first['id']}")
    console.drain()
    for here in (third, branch, second):
        page = text_of(operator, f"{LIST}{here['id']}/chain/")
        assert all(each["id"] in page for each in (first, second, third, branch))
        assert page.count(" branch") == 1
        assert ">deleted<" in page


def test_exports_hold_every_row_and_no_formula(console: Console, operator: Client) -> None:
    ids = {console.ask({"model": "=cmd()" if number else "m"})["id"] for number in range(3)}
    lines = list(csv.DictReader(_body(operator.get(f"{LIST}export.csv")).splitlines()))
    assert {line["id"] for line in lines} == ids
    assert {line["model"] for line in lines} == {"m", "'=cmd()"}
    rows = [json.loads(line) for line in _body(operator.get(f"{LIST}export.jsonl?model=m")).splitlines()]
    assert [row["model"] for row in rows] == ["m"]
    assert operator.get(f"{LIST}export.xml").status_code == 400
    assert operator.get(f"{LIST}export.csv?min_ms=x").status_code == 400


def _body(answer: Any) -> str:
    async def read() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    return async_to_sync(read)().decode()


def test_nothing_that_a_client_says_is_markup(console: Console, operator: Client, backend: FakeBackend) -> None:
    evil = '"><script>alert(1)</script>'
    backend.script(text=evil)
    body = {"model": evil, "input": evil, "metadata": {evil[:20]: evil}, "instructions": evil}
    response = console.ask(body, x_cache_key=evil)
    unmask(operator)
    time.sleep(0.1)  # filed
    entry = ResponseIndex.objects.get().cache_entry
    pages = ("responses/", f"responses/{response['id']}/", f"responses/{response['id']}/exchange/", "cache/",
             f"responses/{response['id']}/json/", "cache/entries/", f"cache/entries/cache_{entry}/",
             f"cache/entries/cache_{entry}/exchange/", "search/?q=" + quote(evil), "", "tail/",
             "responses/?model=" + quote(evil) + "&min_ms=" + quote(evil))  # fmt: skip
    for page in pages:
        html = text_of(operator, f"/admin/{page}")
        assert "<script>alert" not in html, page

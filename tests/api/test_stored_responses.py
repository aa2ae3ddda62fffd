"""`GET` and `DELETE /v1/responses/{id}`, and its input items."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import redis

from responses_api.config.schema import RedisConfig


def create(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = http.post("/responses", json={"model": "m", "input": "What is 2+2?", **fields}).json()
    return body


def test_get_returns_what_create_returned(http: httpx.Client) -> None:
    created = create(http, instructions="Be brief.")
    answer = http.get(f"/responses/{created['id']}")
    assert answer.status_code == 200
    assert answer.json() == created


def test_delete_and_then_404(http: httpx.Client, redis_cli: redis.Redis, redis_config: RedisConfig) -> None:
    response_id = create(http)["id"]
    answer = http.delete(f"/responses/{response_id}")
    assert answer.status_code == 200
    assert answer.json() == {"id": response_id, "object": "response.deleted", "deleted": True}
    assert redis_cli.exists(f"{redis_config.key_prefix}response:{response_id}") == 0
    for again in (http.get, http.delete):
        gone = again(f"/responses/{response_id}")
        assert gone.status_code == 404
        assert gone.json()["error"]["message"] == f"Response with id '{response_id}' not found."


@pytest.mark.parametrize(
    "strange",
    ["resp_unknown", "msg_1", "resp_", "%00", "resp_%0d%0aDEL", "resp_" + "a" * 5000, "..%2f..%2fetc", "*"],
)
def test_any_other_id_is_a_404(http: httpx.Client, strange: str) -> None:
    for path in (f"/responses/{strange}", f"/responses/{strange}/input_items"):
        answer = http.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_streaming_a_response_that_was_not_in_the_background_is_refused(http: httpx.Client) -> None:
    answer = http.get(f"/responses/{create(http)['id']}", params={"stream": "true"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "stream"


def test_a_corrupt_record_is_an_error_that_names_it(
    http: httpx.Client, redis_cli: redis.Redis, redis_config: RedisConfig
) -> None:
    redis_cli.set(f"{redis_config.key_prefix}response:resp_broken", "{nonsense")
    answer = http.get("/responses/resp_broken")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "store_corrupt"


def texts(listing: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["role"], item["content"][0]["text"]) for item in listing["data"]]


def test_input_items_as_the_documentation_shows_them(http: httpx.Client) -> None:
    created = create(http, instructions="You are a helpful math assistant.")
    listing = http.get(f"/responses/{created['id']}/input_items").json()
    assert texts(listing) == [("user", "What is 2+2?"), ("system", "You are a helpful math assistant.")]
    assert listing["object"] == "list"
    assert listing["first_id"] == listing["data"][0]["id"]
    assert listing["last_id"] == listing["data"][-1]["id"]
    assert listing["has_more"] is False
    assert http.get(f"/responses/{created['id']}/input_items").json() == listing


def test_input_items_are_paged_in_both_orders(http: httpx.Client) -> None:
    items = [{"role": "user", "content": str(number)} for number in range(5)]
    response_id = create(http, input=items)["id"]

    def page(**params: Any) -> dict[str, Any]:
        body: dict[str, Any] = http.get(f"/responses/{response_id}/input_items", params=params).json()
        return body

    ascending = page(order="asc", limit=2)
    assert [text for _, text in texts(ascending)] == ["0", "1"]
    assert ascending["has_more"] is True
    middle = page(order="asc", limit=2, after=ascending["last_id"])
    assert [text for _, text in texts(middle)] == ["2", "3"]
    last = page(order="asc", limit=2, after=middle["last_id"])
    assert [text for _, text in texts(last)] == ["4"]
    assert last["has_more"] is False
    assert [text for _, text in texts(page())] == ["4", "3", "2", "1", "0"]
    empty = page(order="asc", after=last["last_id"])
    assert (empty["data"], empty["first_id"], empty["has_more"]) == ([], None, False)


def test_input_items_do_not_include_the_chain(http: httpx.Client) -> None:
    first = create(http)
    second = create(http, input="And 3+3?", previous_response_id=first["id"])
    assert texts(http.get(f"/responses/{second['id']}/input_items").json()) == [("user", "And 3+3?")]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"order": "up"}, "order"),
        ({"after": "msg_unknown"}, "after"),
    ],
    ids=str,
)
def test_wrong_paging_is_a_400_that_names_the_parameter(http: httpx.Client, params: dict[str, str], param: str) -> None:
    answer = http.get(f"/responses/{create(http)['id']}/input_items", params=params)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_array_parameters_in_brackets_are_accepted(http: httpx.Client) -> None:
    response_id = create(http)["id"]
    params = {"include[]": "message.output_text.logprobs"}
    assert http.get(f"/responses/{response_id}", params=params).status_code == 200

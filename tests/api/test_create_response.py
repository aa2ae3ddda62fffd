"""`POST /v1/responses`, answered as JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest
import redis

from responses_api.config.schema import RedisConfig, RouterConfig
from tests.fake_backend import FakeBackend
from tests.gateway import Gateway

REQUEST = {
    "model": "qwen3",
    "input": "What is 2+2?",
    "instructions": "You are a helpful math assistant.",
    "store": True,
}


def test_it_answers_and_stores(
    http: httpx.Client, backend: FakeBackend, redis_cli: redis.Redis, redis_config: RedisConfig
) -> None:
    answer = http.post("/responses", json=REQUEST)
    assert answer.status_code == 200
    body = answer.json()
    assert body["object"] == "response"
    assert body["status"] == "completed"
    assert body["output_text"] == "2+2 is 4."
    assert body["output"][0]["content"][0]["text"] == "2+2 is 4."
    assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + body["usage"]["output_tokens"]
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-router-backend"] == "fake"
    key = f"{redis_config.key_prefix}response:{body['id']}"
    stored = msgspec.json.decode(redis_cli.get(key))
    assert stored["id"] == body["id"]
    assert stored["previous_response_id"] == ""
    assert 3598 <= redis_cli.ttl(key) <= 3600
    assert backend.bodies()[0]["messages"] == [
        {"role": "system", "content": "You are a helpful math assistant."},
        {"role": "user", "content": "What is 2+2?"},
    ]


REQUIRED_NON_NULL = {
    "id", "object", "created_at", "status", "model", "output", "tools", "tool_choice", "truncation",
    "parallel_tool_calls", "text", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs", "temperature",
    "store", "background", "service_tier", "metadata",
}  # fmt: skip
REQUIRED_NULLABLE = {
    "completed_at", "incomplete_details", "previous_response_id", "instructions", "error", "reasoning", "usage",
    "max_output_tokens", "max_tool_calls", "safety_identifier", "prompt_cache_key", "conversation", "prompt", "user",
}  # fmt: skip


def test_the_response_has_every_key_that_clients_require(http: httpx.Client) -> None:
    body = http.post("/responses", json={"model": "m", "input": "hi"}).json()
    assert body.keys() >= REQUIRED_NON_NULL | REQUIRED_NULLABLE
    assert {name for name in REQUIRED_NON_NULL if body[name] is None} == set()
    assert body["reasoning"] == {"effort": None, "summary": None}
    assert body["usage"]["input_tokens_details"].keys() == {"cached_tokens", "cache_write_tokens"}
    assert isinstance(body["created_at"], int)
    assert isinstance(body["completed_at"], int)


def test_it_echoes_what_was_asked(http: httpx.Client) -> None:
    asked: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 64,
        "metadata": {"a": "b"},
        "truncation": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low", "summary": None},
        "text": {
            "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}},
            "verbosity": "low",
        },
        "tools": [{"type": "function", "name": "f"}],
        "tool_choice": "none",
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "instructions": "Be brief.",
    }
    body = http.post("/responses", json={"model": "m", "input": "hi", **asked}).json()
    asked["tools"] = [{"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}]
    assert {name: body[name] for name in asked} == asked


def test_store_false_stores_nothing(http: httpx.Client, redis_cli: redis.Redis, redis_config: RedisConfig) -> None:
    body = http.post("/responses", json={"model": "m", "input": "hi", "store": False}).json()
    assert body["store"] is False
    assert redis_cli.exists(f"{redis_config.key_prefix}response:{body['id']}") == 0
    assert http.get(f"/responses/{body['id']}").status_code == 404
    follow_up = http.post("/responses", json={"model": "m", "input": "and?", "previous_response_id": body["id"]})
    assert follow_up.status_code == 400


def test_a_follow_up_sends_the_history_but_not_the_instructions(http: httpx.Client, backend: FakeBackend) -> None:
    first = http.post("/responses", json={"model": "m", "input": "My name is Ada.", "instructions": "Be kind."}).json()
    second = http.post(
        "/responses", json={"model": "m", "input": "What is my name?", "previous_response_id": first["id"]}
    ).json()
    assert "Ada" in second["output_text"]
    assert second["previous_response_id"] == first["id"]
    assert second["instructions"] is None
    assert [message["role"] for message in backend.bodies()[1]["messages"]] == ["user", "assistant", "user"]


def test_tool_calls_and_their_outputs_make_a_round_trip(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(
        tool_calls=[
            {"name": "weather", "arguments": '{"city":"Rome"}', "id": "call_1"},
            {"name": "clock", "arguments": "{}", "id": "call_2"},
        ]
    )
    tools = [{"type": "function", "name": "weather"}, {"type": "function", "name": "clock"}]
    first = http.post("/responses", json={"model": "m", "input": "?", "tools": tools}).json()
    assert [(item["type"], item["call_id"], item["name"]) for item in first["output"]] == [
        ("function_call", "call_1", "weather"),
        ("function_call", "call_2", "clock"),
    ]
    outputs = [
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "call_2", "output": "noon"},
    ]
    second = http.post(
        "/responses",
        json={"model": "m", "input": outputs, "tools": tools, "previous_response_id": first["id"]},
    )
    assert second.status_code == 200
    assert [message["role"] for message in backend.bodies()[1]["messages"]] == [
        "user",
        "assistant",
        "tool",
        "tool",
    ]
    assert len(backend.bodies()[1]["messages"][1]["tool_calls"]) == 2


def test_a_call_left_unanswered_is_refused_before_the_backend_is_asked(
    http: httpx.Client, backend: FakeBackend
) -> None:
    backend.script(tool_calls=[{"name": "f", "arguments": "{}", "id": "call_1"}])
    first = http.post("/responses", json={"model": "m", "input": "?"}).json()
    again = http.post("/responses", json={"model": "m", "input": "so?", "previous_response_id": first["id"]})
    assert again.status_code == 400
    assert again.json()["error"]["message"] == "No tool output found for function call call_1."
    assert backend.calls()["chat"] == 1


def test_length_is_incomplete_and_can_be_continued(http: httpx.Client, backend: FakeBackend) -> None:
    backend.script(finish_reason="length", text="Once upon")
    body = http.post("/responses", json={"model": "m", "input": "A story."}).json()
    assert body["status"] == "incomplete"
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    assert body["completed_at"] is None
    assert body["output"][0]["status"] == "incomplete"
    more = http.post("/responses", json={"model": "m", "input": "Go on.", "previous_response_id": body["id"]})
    assert more.status_code == 200


def test_missing_ancestors_are_skipped_and_told(http: httpx.Client) -> None:
    ids: list[str] = []
    for _ in range(4):
        previous = {"previous_response_id": ids[-1]} if ids else {}
        answer = http.post("/responses", json={"model": "m", "input": "hi", **previous})
        assert "x-router-chain-missing" not in answer.headers
        ids.append(answer.json()["id"])
    http.delete(f"/responses/{ids[1]}")
    answer = http.post("/responses", json={"model": "m", "input": "hi", "previous_response_id": ids[3]})
    assert answer.status_code == 200
    assert answer.headers["x-router-chain-missing"] == "1"


def error_of(answer: httpx.Response) -> tuple[int, str, str | None, str | None]:
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"].startswith("req_")
    return answer.status_code, error["type"], error["code"], error["param"]


INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b'{"model":"m","input":NaN}', "invalid_json", None),
        (b'{"model":"m","input":"\\ud800"}', "invalid_json", None),
        (b'{"model":"m","input":"\xff"}', "invalid_json", None),
        (b'{"model":"m","input":' + b"[" * 100_000, "invalid_json", None),
        (b"[" * 100_000, "invalid_json", None),
        (
            b'{"model":"m","input":"hi","x":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
            "invalid_json",
            None,
        ),
        (b"[]", "invalid_type", None),
        (b"null", "invalid_type", None),
        (b"{}", "missing_required_parameter", "model"),
        (b'{"model":"m"}', "missing_required_parameter", "input"),
        (b'{"model":"m","input":[]}', "missing_required_parameter", None),
        (b'{"model":"m","input":null}', "missing_required_parameter", None),
        (b'{"model":"m","input":5}', "invalid_type", "input"),
        (b'{"model":"m","input":"hi","stream":"yes"}', "invalid_type", "stream"),
        (b'{"model":"m","input":"hi","temperature":9}', "decimal_above_max_value", "temperature"),
        (b'{"model":"m","input":"hi","temperature":1e999}', "invalid_value", "temperature"),
        (b'{"model":"m","input":"hi","max_output_tokens":0}', "integer_below_min_value", "max_output_tokens"),
        (
            b'{"model":"m","input":"hi","max_output_tokens":' + b"9" * 400 + b"}",
            "integer_above_max_value",
            "max_output_tokens",
        ),
        (b'{"model":"m","input":"hi","truncation":"bogus"}', "invalid_value", "truncation"),
        (b'{"model":"m","input":[{"role":"boss","content":"x"}]}', "invalid_value", "input[0].role"),
        (
            b'{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":1}]}]}',
            "invalid_type",
            "input[0].content[0].text",
        ),
        (b'{"model":"m","input":[{"type":"nonsense"}]}', "invalid_value", "input[0].type"),
        (b'{"model":"m","input":"hi","tools":[{"type":"web_search"}]}', "unsupported_tool", "tools[0].type"),
        (b'{"model":"m","messages":[],"input":"hi"}', "unsupported_parameter", "messages"),
        (
            b'{"model":"m","input":"hi","previous_response_id":"resp_x"}',
            "previous_response_not_found",
            "previous_response_id",
        ),
        (
            b'{"model":"m","input":"hi","previous_response_id":"resp_x","conversation":"conv_x"}',
            "mutually_exclusive_parameters",
            None,
        ),
        (
            b'{"model":"m","input":"hi","background":true,"store":false}',
            "unsupported_parameter",
            "background",
        ),
    ],
)
def test_a_bad_request_is_a_400_that_names_what_is_wrong(
    http: httpx.Client, backend: FakeBackend, body: bytes, code: str, param: str | None
) -> None:
    answer = http.post("/responses", content=body, headers={"content-type": "application/json"})
    assert error_of(answer) == (400, INVALID, code, param)
    assert backend.calls()["chat"] == 0


def test_unknown_fields_go_to_the_backend(http: httpx.Client, backend: FakeBackend) -> None:
    http.post("/responses", json={"model": "m", "input": "hi", "top_k": 7, "guided_json": {"a": [1, None]}})
    assert backend.bodies()[0]["top_k"] == 7
    assert backend.bodies()[0]["guided_json"] == {"a": [1, None]}


def test_another_content_type_is_a_415(http: httpx.Client) -> None:
    answer = http.post("/responses", content=b"{}", headers={"content-type": "text/plain"})
    assert error_of(answer) == (415, INVALID, "unsupported_media_type", None)


def test_a_charset_is_fine(http: httpx.Client) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    assert http.post("/responses", content=b'{"model":"m","input":""}', headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_is_a_405_that_names_the_right_one(http: httpx.Client, method: str) -> None:
    answer = http.request(method, "/responses")
    assert error_of(answer) == (405, INVALID, "method_not_allowed", None)
    assert answer.headers["allow"] == "POST"


def test_an_unknown_url_is_a_404(http: httpx.Client) -> None:
    assert error_of(http.get("/nothing"))[0] == 404


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_is_a_413(gateway: Gateway, http: httpx.Client, chunked: bool) -> None:
    body = b'{"model":"m","input":"' + b"x" * gateway.runtime.config.max_body_bytes + b'"}'
    content: Any = (body[start : start + 1_000_000] for start in range(0, len(body), 1_000_000)) if chunked else body
    try:
        answer = http.post("/responses", content=content, headers={"content-type": "application/json"})
    except httpx.WriteError:  # the answer came, and the door closed, while we were still talking
        return
    assert error_of(answer) == (413, INVALID, "request_too_large", None)


def test_a_body_beyond_the_limit_is_a_413_also_where_it_comes_in_one_piece(
    router_config: RouterConfig, settings: Any
) -> None:
    settings.ROUTER_ALLOW_ANONYMOUS = True
    gateway = Gateway(replace(router_config, max_body_bytes=200))
    with httpx.Client(base_url=gateway.base_url, timeout=10) as http:
        assert http.post("/responses", json={"model": "m", "input": "x" * 100}).status_code == 200
        answer = http.post("/responses", json={"model": "m", "input": "x" * 200})
    gateway.stop()
    assert error_of(answer) == (413, INVALID, "request_too_large", None)


def test_a_large_image_is_no_problem(http: httpx.Client, backend: FakeBackend) -> None:
    image = "data:image/png;base64," + "A" * 10_000_000
    content = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": image}]
    answer = http.post("/responses", json={"model": "m", "input": [{"role": "user", "content": content}]})
    assert answer.status_code == 200
    assert backend.bodies()[0]["messages"][0]["content"][1]["image_url"]["url"] == image

"""What counts as a chat request."""

from __future__ import annotations

import msgspec
import pytest

from responses_api.demo_backend.chat_request import RequestError, parse_request

HI = b'"messages": [{"role": "user", "content": "hi"}]'


def test_it_reads_what_it_needs_and_passes_over_the_rest() -> None:
    request = parse_request(b'{"model": "m", "n": 3, "stop": ["x"], ' + HI + b"}")
    assert (request.model, request.prompt) == ("m", "hi")


def test_the_prompt_is_the_text_of_the_last_user_message() -> None:
    messages = [
        {"role": "user", "content": "first"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "x"}},
                {"type": "text", "text": "here"},
            ],
        },
        {"role": "assistant", "content": None},
    ]
    request = parse_request(msgspec.json.encode({"model": "m", "messages": messages}))
    assert request.prompt == "look here"


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        (b"", None),
        (b'"max_tokens": 5,', 5),
        (b'"max_completion_tokens": 7,', 7),
        (b'"max_tokens": 5, "max_completion_tokens": 0,', 0),
    ],
)
def test_the_newer_token_limit_wins(fields: bytes, limit: int | None) -> None:
    assert parse_request(b'{"model": "m",' + fields + HI + b"}").token_limit == limit


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        (b"{", 400, None, None),
        (b"[]", 400, None, None),
        (b'{"model": "m", "messages": "hi"}', 400, None, None),
        (b"{" + HI + b"}", 400, "model", None),
        (b'{"model": "m"}', 400, "messages", "missing_required_parameter"),
        (b'{"model": "m", "messages": []}', 400, "messages", "missing_required_parameter"),
        (b'{"model": "missing-model", ' + HI + b"}", 404, "model", "model_not_found"),
        (b'{"model": "m", "demo_script": {"stauts": 1}, ' + HI + b"}", 400, None, None),
    ],
)
def test_what_is_no_chat_request_is_refused(body: bytes, status: int, param: str | None, code: str | None) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request(body)
    assert caught.value.status == status
    assert caught.value.error == {
        "message": str(caught.value),
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }

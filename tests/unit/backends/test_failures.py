"""A backend's error answer → what its client is told."""

from __future__ import annotations

import msgspec
import pytest

from responses_api.backends.failures import from_status


@pytest.mark.parametrize(
    ("status", "body", "told", "code", "param"),
    [
        (400, {"error": {"message": "bad", "param": "temperature"}}, 400, None, "temperature"),
        (
            400,
            {"error": {"message": "long", "code": "context_length_exceeded"}},
            400,
            "context_length_exceeded",
            "input",
        ),
        (400, {"error": "bad"}, 400, None, None),
        (422, {"detail": "bad"}, 400, None, None),
        (422, {"message": "bad", "code": 422}, 400, None, None),
        (404, {"error": {"message": "The model `m` does not exist."}}, 400, "model_not_found", "model"),
        (404, {"detail": "Not Found"}, 400, None, None),
        (401, {"error": {"message": "your key sk-123 is wrong"}}, 502, "backend_unauthorized", None),
        (403, {}, 502, "backend_unauthorized", None),
        (429, {"error": {"message": "slow down"}}, 429, "rate_limit_exceeded", None),
        (500, {"error": {"message": "boom"}}, 502, "backend_error", None),
        (503, {"error": {"message": "loading"}}, 503, "backend_unavailable", None),
        (302, {}, 502, "backend_error", None),
    ],
)
def test_who_can_mend_it_decides_what_is_told(
    status: int, body: object, told: int, code: str | None, param: str | None
) -> None:
    error = from_status("gpu1", status, {"content-type": "application/json"}, msgspec.json.encode(body))
    assert (error.status, error.code, error.param) == (told, code, param)
    assert "sk-123" not in error.message


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[1]", b"[" * 100_000, b'"text"'])
def test_what_is_no_error_object_is_described(body: bytes) -> None:
    error = from_status("gpu1", 500, {"content-type": "text/html; charset=utf-8"}, body)
    assert error.message == (
        f"Backend 'gpu1' answered HTTP 500 with {len(body)} bytes of text/html instead of a completion."
    )


def test_a_long_message_is_cut() -> None:
    body = msgspec.json.encode({"error": {"message": "x" * 100_000}})
    assert len(from_status("gpu1", 400, {}, body).message) == 1000

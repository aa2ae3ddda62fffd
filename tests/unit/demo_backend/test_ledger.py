"""What the ledger remembers."""

from __future__ import annotations

from responses_api.demo_backend.ledger import Call, Ledger


def call(body: bytes) -> Call:
    return Call("chat", "/v1/chat/completions", [(b"x-a", b"\xe9")], body)


def test_it_counts_calls_and_connections() -> None:
    ledger = Ledger(keep_bodies=100)
    ledger.arrived("chat", ("127.0.0.1", 1), call(b"{}"))
    ledger.arrived("chat", ("127.0.0.1", 1), call(b"{}"))
    ledger.arrived("models", ("127.0.0.1", 2))
    assert ledger.counts(in_flight=1) == {
        "total": 3,
        "chat": 2,
        "responses": 0,
        "completions": 0,
        "embeddings": 0,
        "tokenize": 0,
        "models": 1,
        "health": 0,
        "aborted": 0,
        "in_flight": 1,
        "connections": 2,
    }


def test_it_keeps_the_last_bodies_only() -> None:
    ledger = Ledger(keep_bodies=2)
    for body in (b"1", b"2", b"3"):
        ledger.arrived("chat", None, call(body))
    assert [kept.body for kept in ledger.kept] == [b"2", b"3"]


def test_it_can_keep_none() -> None:
    ledger = Ledger(keep_bodies=0)
    ledger.arrived("chat", None, call(b"1"))
    assert (len(ledger.kept), ledger.counts(0)["chat"]) == (0, 1)


def test_a_reset_forgets_everything() -> None:
    ledger = Ledger(keep_bodies=2)
    ledger.arrived("chat", ("127.0.0.1", 1), call(b"1"))
    ledger.arrived("health", None)
    ledger.aborted = 4
    ledger.reset()
    assert set(ledger.counts(in_flight=0).values()) == {0}
    assert not ledger.kept


def test_a_call_is_shown_decoded() -> None:
    shown = {"path": "/v1/chat/completions", "headers": {"x-a": "é"}}
    assert call(b'{"a": 1}').as_json() == {**shown, "body": {"a": 1}}
    assert call(b"{\xff").as_json() == {**shown, "body": "{\ufffd"}

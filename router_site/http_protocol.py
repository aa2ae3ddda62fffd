"""uvicorn's HTTP protocol with two ways to answer in one go, where ASGI's own cost more than the answer.

As two ASGI messages an answer costs a cache hit a tenth of its time: two coroutines, two dicts, two regular expressions
for each header, two writes. An application that finds `WHOLE_ANSWER` among the scope's extensions may call it instead.

A task for each request costs as much again. An application with a method `answer_at_once(scope, body)` is asked there
first for what it can answer without waiting for anything; None: it is called as ever.

A client that begins a request and does not go on loses its connection: there are only so many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

WHOLE_ANSWER = "responses_router.whole_answer"

Header = tuple[bytes, bytes]
Answer = tuple[int, Sequence[Header], bytes]
"""Status, headers without content-length, body."""
AtOnce = Callable[[Any, bytes], Answer | None]


HEAD_SECONDS = 30.0
"""For a request's head, from its first byte, or from the connection's begin."""
SILENCE_SECONDS = 30.0
"""Between two pieces of a body."""


class GatewayProtocol(HttpToolsProtocol):
    """Give it to `uvicorn.Config(http=…)`."""

    _is_receiving = False
    _is_handed_over = False
    """To the WebSocket protocol: no concern of this one any more."""
    _slow_timer: asyncio.TimerHandle | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    _idle_since = 0.0
    """0: a request is being read or answered."""
    _heard_at = 0.0
    _waiting_since = 0.0
    """When what is incomplete began; 0: nothing is."""
    _held: tuple[RequestResponseCycle, Any] | None = None
    """A request that has come with the data now being read, and the application it is for."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = _EXTENSIONS

    def data_received(self, data: bytes) -> None:
        self._is_receiving = True
        self._idle_since = 0.0
        super().data_received(data)
        self._is_receiving = False
        if self._is_incomplete():
            self._expect_more()
        else:
            self._waiting_since = 0.0
        if self._held is not None:
            (cycle, application), self._held = self._held, None
            if not _answer_at_once(cycle, application):
                super()._start_asgi_task(cycle, application)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timers()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._is_handed_over = True
        self._cancel_timers()
        super().handle_websocket_upgrade()

    def _cancel_timers(self) -> None:
        for timer in (self._slow_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        self._slow_timer = self._idle_timer = None

    def on_response_complete(self) -> None:
        """As uvicorn's; but one timer a connection looks whether it is idle, not a new one for each answer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_whether_idle)

    def _look_whether_idle(self) -> None:
        self._idle_timer = None
        if self.transport.is_closing() or not self._idle_since:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            self.transport.close()
        else:
            self._idle_timer = self.loop.call_later(left, self._look_whether_idle)

    def _has_head(self) -> bool:
        return self.scope is not None and "path" in self.scope

    def _is_incomplete(self) -> bool:
        """Is there more to come of the request, or of the connection's first one?"""
        if self._is_handed_over:
            return False
        return not self._has_head() or (self.cycle is not None and self.cycle.more_body)

    def _expect_more(self) -> None:
        """It may take its time, and not for ever."""
        self._heard_at = self.loop.time()
        self._waiting_since = self._waiting_since or self._heard_at
        if self._slow_timer is None:
            self._slow_timer = self.loop.call_later(min(HEAD_SECONDS, SILENCE_SECONDS), self._look_whether_it_came)

    def _look_whether_it_came(self) -> None:
        self._slow_timer = None
        if self.transport.is_closing() or not self._is_incomplete():
            return
        now = self.loop.time()
        limit = self._heard_at + SILENCE_SECONDS if self._has_head() else self._waiting_since + HEAD_SECONDS
        if now < limit:
            self._slow_timer = self.loop.call_later(limit - now, self._look_whether_it_came)
        else:
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._is_receiving:
            self._held = cycle, app
        else:
            super()._start_asgi_task(cycle, app)


def _answer_at_once(cycle: RequestResponseCycle, application: Any) -> bool:
    ask: AtOnce | None = getattr(application, "answer_at_once", None)
    if ask is None or cycle.more_body or not _takes_it_whole(cycle):
        return False
    answer = ask(cycle.scope, bytes(cycle.body))
    return answer is not None and answer_whole(cycle.send, *answer)


def answer_whole(send: Any, status: int, headers: Sequence[Header], body: bytes) -> bool:
    """Answers with all of `body`; `send` is what the application was called with, `headers` has no content-length.

    False: nothing has been sent, and the two messages have to be (the client reads too slowly, wants its connection
    closed, or has left). Raises `ValueError` for a header that would end before it does.
    """
    cycle: RequestResponseCycle = send.__self__
    if not _takes_it_whole(cycle):
        return False
    lines = [b"%b: %b\r\n" % header for header in headers]
    head = b"".join([*_server_lines(cycle.default_headers), *lines])
    if head.count(b"\n") != len(cycle.default_headers) + len(lines) or head.count(b"\r") != head.count(b"\n"):
        raise ValueError(f"A header holds a line break: {headers}.")
    cycle.waiting_for_100_continue = False
    cycle.response_started = cycle.response_complete = True
    cycle.message_event.set()
    content = b"" if cycle.scope["method"] == "HEAD" else body
    cycle.transport.write(b"%bcontent-length: %d\r\n%b\r\n%b" % (STATUS_LINE[status], len(body), head, content))
    cycle.on_response()
    return True


def _takes_it_whole(cycle: RequestResponseCycle) -> bool:
    return not (cycle.response_started or cycle.disconnected or cycle.flow.write_paused) and cycle.keep_alive


# ASGI has dicts there; this one extension is a callable.
_EXTENSIONS: Any = {WHOLE_ANSWER: answer_whole}


class _Rendered:
    """The server's own headers as lines; uvicorn makes a new list of them each second."""

    headers: list[Header] | None = None
    lines: Sequence[bytes] = ()


def _server_lines(headers: list[Header]) -> Sequence[bytes]:
    if _Rendered.headers is not headers:
        _Rendered.lines = [b"%b: %b\r\n" % header for header in headers]
        _Rendered.headers = headers
    return _Rendered.lines

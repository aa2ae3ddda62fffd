"""A backend's answer, read by the dialect it speaks: whole, or as events while it comes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import msgspec
import structlog

from responses_api import sse
from responses_api.backends.failures import not_json
from responses_api.errors import ApiError, BackendError
from responses_api.run import Run
from responses_api.shapes.events import AnyEvent
from responses_api.shapes.response import ResponseError
from responses_api.translate.dialect import BackendStreamError, Seal, Translator
from responses_api.translate.outcome import Outcome

log = structlog.get_logger(__name__)

_DONE = b"[DONE]"


def read_whole(run: Run, answer: bytes, seal: Seal | None) -> Outcome:
    """Raises `BackendError`."""
    try:
        return run.dialect.read(run.response, answer, seal)
    except BackendStreamError as error:
        raise BackendError(f"Backend '{run.endpoint.name}' reported an error: {error}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        raise not_json(run.endpoint.name, 200, "application/json", answer) from error


async def read_events(run: Run, translator: Translator, packets: AsyncIterator[bytes]) -> AsyncIterator[list[AnyEvent]]:
    """Packets → batches of events. Raises `BackendError` for a stream that is broken, or reports an error."""
    reader = sse.DataReader()
    async for packet in packets:
        data = reader.feed(packet)
        produced, failure = _feed(run, translator, data)
        if produced:
            if run.first_token_at is None and translator.has_output:
                run.first_token_at = time.perf_counter()
            yield produced
        if failure is not None:
            raise failure
        if data and data[-1] == _DONE:
            return
    produced, failure = _feed(run, translator, reader.close())
    if produced:
        yield produced
    if failure is None and not translator.is_finished:
        failure = BackendError(f"Backend '{run.endpoint.name}' ended its stream before it was finished.")
    if failure is not None:
        raise failure


def _feed(run: Run, translator: Translator, data: list[bytes]) -> tuple[list[AnyEvent], BackendError | None]:
    """The events of a packet's chunks, up to the first that is none: what came before it is told all the same."""
    produced: list[AnyEvent] = []
    try:
        for each in data:
            if each != _DONE:
                produced += translator.feed(each)
    except BackendStreamError as error:
        return produced, BackendError(f"Backend '{run.endpoint.name}' reported an error: {error}")
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return produced, BackendError(f"Backend '{run.endpoint.name}' sent a chunk that cannot be read: {error}")
    return produced, None


def failure_of(run: Run, error: Exception) -> ResponseError:
    """What a response says that failed once it had begun."""
    if isinstance(error, ApiError):
        return ResponseError("server_error", error.message)
    log.error("stream_failed", request_id=run.context.request_id, exc_info=error)
    return ResponseError("server_error", f"The gateway failed. Its log has the reason under {run.context.request_id}.")

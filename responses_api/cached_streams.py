"""A create's frames, from wherever they come: the backend, another request's stream, or a recording."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec

from responses_api import sse
from responses_api.cache import replay
from responses_api.cache.entry import Entry, Recording
from responses_api.cached_responses import MAX_LOOKS, CachedResponses, Create
from responses_api.errors import ApiError
from responses_api.run import Run
from responses_api.shapes import events
from responses_api.shapes.events import TERMINAL_TYPES, AnyEvent, to_frames, type_of
from responses_api.shapes.response import ResponseError
from responses_api.translate.outcome import Outcome
from responses_api.translate.retold import output_told

_decode_event = msgspec.json.Decoder(dict[str, Any]).decode


async def frames_of(cached: CachedResponses, create: Create) -> AsyncIterator[bytes]:
    """`[DONE]` last. Raises `ApiError` before the first only; later a failure is told as an event."""
    if not create.follows:
        async for frames in _answered(cached, create):
            yield frames
    else:
        with cached.engine.following(create.run):
            async for frames in _followed_or_answered(cached, create):
                yield frames
    yield sse.DONE_FRAME


async def _answered(cached: CachedResponses, create: Create) -> AsyncIterator[bytes]:
    entry = create.found.given
    if entry is not None:
        cached.revalidate(create)
        source = _replayed(cached, create, entry)
    else:
        source = _led(cached, create)
    async with aclosing(source):  # type: ignore[type-var]
        async for frames in source:
            yield frames


async def _led(cached: CachedResponses, create: Create) -> AsyncIterator[bytes]:
    flight, has_begun = create.found.lead, False
    records = flight is not None and flight.is_recorded
    try:
        with cached.leading(create):
            batches = cached.engine.stream(create.run)
            async with aclosing(batches):  # type: ignore[type-var]
                async for batch in batches:
                    frames = to_frames(batch)
                    if records and has_begun and flight is not None and type_of(batch[0]) not in TERMINAL_TYPES:
                        cached.cache.tell(flight, frames)
                    has_begun = True
                    yield frames
    except ApiError as error:
        if has_begun or not cached.falls_back(create, error) or create.found.entry is None:
            raise
        async for frames in _replayed(cached, create, create.found.entry):
            yield frames


async def _replayed(cached: CachedResponses, create: Create, entry: Entry) -> AsyncIterator[bytes]:
    run, recording = create.run, entry.recording
    with cached.engine.following(run):
        yield _beginning(run)
        run.first_token_at = time.perf_counter()
        if recording.frames and not run.request.wants_obfuscation:
            number = replay.FIRST_EVENT + replay.frames_in(recording.frames)
            async for frames in _paced(recording, create.controls.timed):
                yield replay.own(frames, recording, run.response.id)
        else:
            made = replay.events_of(recording, run.response.id)
            number = replay.FIRST_EVENT + len(made)
            if run.request.wants_obfuscation:
                events.obfuscate(made)
            yield to_frames(made)
        outcome = replay.outcome_of(recording, run.response.id)
        yield to_frames([await cached.engine.conclude_replay(run, outcome, number)])


async def _paced(recording: Recording, timed: bool) -> AsyncIterator[bytes]:
    """The recorded frames at once, or with the pauses that they had."""
    told, waited = 0, 0
    for milliseconds, end in recording.marks if timed else ():
        await asyncio.sleep((milliseconds - waited) / 1000)
        waited = milliseconds
        yield recording.frames[told:end]
        told = end
    if told < len(recording.frames):
        yield recording.frames[told:]


async def _followed_or_answered(cached: CachedResponses, create: Create) -> AsyncIterator[bytes]:
    for _ in range(MAX_LOOKS):
        is_told = False
        async for frames in _followed(cached, create):
            is_told = True
            yield frames
        if is_told:
            return
        if not await cached.look_again(create):
            break
    async for frames in _answered(cached, create):
        yield frames


async def _followed(cached: CachedResponses, create: Create) -> AsyncIterator[bytes]:
    """Another's stream as our own; nothing at all where its leader was lost before it said anything."""
    assert create.found.follow is not None  # noqa: S101
    assert create.question is not None  # noqa: S101
    run, leader = create.run, create.found.follow.token.encode()
    own = replay.digits_of(run.response.id).encode()
    told: list[bytes] = []
    expired, create.found.entry = create.found.entry, None
    following = cached.cache.follow(create.found.follow)
    async with aclosing(following):  # type: ignore[type-var]
        async for piece in following:
            if isinstance(piece, Entry):
                create.found.entry = piece if piece.canonical == create.question.canonical else None
            elif not run.request.wants_obfuscation:
                piece = piece.replace(leader, own)
                if not told:
                    yield _beginning(run)
                    run.first_token_at = time.perf_counter()
                told.append(piece)
                yield piece
    entry = create.found.entry
    if told:
        outcome = _lost(told) if entry is None else replay.outcome_of(entry.recording, run.response.id)
        number = replay.FIRST_EVENT + sum(map(replay.frames_in, told))
        yield to_frames([await cached.engine.conclude_replay(run, outcome, number)])
    elif entry is not None:
        async for frames in _replayed(cached, create, entry):
            yield frames
    else:
        create.found.entry = expired


def _beginning(run: Run) -> bytes:
    begun: list[AnyEvent] = [
        events.Created(sequence_number=0, response=run.response),
        events.InProgress(sequence_number=1, response=run.response),
    ]
    return to_frames(begun)


def _lost(told: list[bytes]) -> Outcome:
    """What had come of an answer that another request was getting, and that broke off."""
    data = [frame.partition(b"\ndata: ")[2] for frame in b"".join(told).split(b"\n\n") if frame]
    output = output_told(map(_decode_event, data))
    for item in output:
        if item.get("status") == "in_progress":
            item["status"] = "incomplete"
    reason = "The answer that this request shared with an equal one broke off. Ask again."
    return Outcome(output=output, error=ResponseError("server_error", reason))

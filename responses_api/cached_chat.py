"""Chat Completions, completions and embeddings, answered by the cache or passed through to the backend."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
import structlog
from msgspec import Raw

from responses_api import metrics, sse
from responses_api.backends.registry import Registry
from responses_api.cache import chat_answers, policy
from responses_api.cache.controls import Controls
from responses_api.cache.entry import Entry, Recording
from responses_api.cache.headers import asked_headers
from responses_api.cache.key import NotComparableError, Question, Scope, question_of
from responses_api.cache.policy import Judgement, Verdict
from responses_api.cache.service import Found, Remote, ResponseCache
from responses_api.errors import ApiError, BackendError, NotCached
from responses_api.passthrough import Passage, PassedApi, Passthrough
from responses_api.run import RequestContext
from responses_api.shapes.ids import new_id

log = structlog.get_logger(__name__)

MIN_ID_CHARS = 6
"""A shorter id may be anywhere in an answer, and is left as it is."""
_encode = msgspec.json.Encoder().encode
_fields_decoder = msgspec.json.Decoder(dict[str, Raw])


@dataclass(slots=True)
class Chat:
    """One request on its way. `token` stands for the answer's id in what is recorded."""

    passage: Passage
    controls: Controls
    token: str
    found: Found
    question: Question | None = None
    chunks: list[bytes] = field(default_factory=list)
    answer_id: bytes = b""


class CachedPassthrough:
    """One per event loop; without a cache everything is passed through."""

    def __init__(self, passthrough: Passthrough, registry: Registry, cache: ResponseCache | None) -> None:
        self._passthrough = passthrough
        self._registry = registry
        self._cache = cache
        self._revalidations: set[asyncio.Task[None]] = set()

    async def begin(self, api: PassedApi, body: bytes, context: RequestContext, controls: Controls) -> Chat:
        """Raises `ApiError`."""
        passage = self._passthrough.prepare(api, body, context)
        chat = Chat(passage, controls, new_id("chat").partition("_")[2], _bypass("no redis"))
        if self._cache is not None:
            reason = policy.bypass_reason(self._cache.config, controls)
            try:
                if reason is None:
                    chat.question = self._question(api, passage, body, controls)
                    await self._find(chat)
                else:
                    chat.found = _bypass(reason)
            except NotComparableError as error:
                chat.found = _bypass(str(error))
        self._note(chat)
        return chat

    async def complete(self, chat: Chat) -> bytes:
        """The answer's JSON. Raises `ApiError`."""
        if (shared := await self._shared(chat)) is not None:
            return self._given(chat, shared)
        if (entry := chat.found.given) is not None:
            self._revalidate(chat)
            return self._given(chat, entry)
        try:
            with self._leading(chat):
                answer = await self._passthrough.complete(chat.passage)
                self._record_whole(chat, answer)
                return answer
        except ApiError as error:
            return self._given(chat, self._fallback(chat, error))

    async def stream(self, chat: Chat) -> AsyncIterator[bytes]:
        """The answer's frames. Raises `ApiError` before the first only."""
        if chat.found.follow is not None:
            has_told = False
            async for frames in self._followed(chat):
                has_told = True
                yield frames
            if has_told:
                return
            await self._go_on_alone(chat)
        entry, has_begun = chat.found.given, False
        if entry is None:
            try:
                with self._leading(chat):
                    async for frames in self._passthrough.stream(chat.passage):
                        has_begun = True
                        yield frames
                    self._record_stream(chat)
                return
            except ApiError as error:
                if has_begun:
                    raise
                entry = self._fallback(chat, error)
        else:
            self._revalidate(chat)
        yield self._given_frames(chat, entry)

    async def is_awaited(self, chat: Chat) -> bool:
        """Do others wait for what this request leads?"""
        flight = chat.found.lead
        return flight is not None and await self.cache.is_followed(flight)

    @property
    def cache(self) -> ResponseCache:
        assert self._cache is not None  # noqa: S101 - without one every request is bypassed
        return self._cache

    async def aclose(self) -> None:
        for task in self._revalidations:
            task.cancel()

    # -- finding -------------------------------------------------------------------------------------------------

    def _question(self, api: PassedApi, passage: Passage, body: bytes, controls: Controls) -> Question:
        config = self.cache.config
        _refuse_duplicates(body)
        fields = _fields_decoder.decode(body)
        if "web_search_options" in fields:
            raise NotComparableError("hosted tools")
        scope = Scope(
            passage.context.project,
            controls.namespace,
            passage.model if config.cache_by_model else None,
            self._registry.names_for(passage.model) if config.cache_by_provider else None,
        )
        return question_of(api, scope, fields)

    async def _find(self, chat: Chat) -> None:
        assert chat.question is not None  # noqa: S101
        project, controls = chat.passage.context.project, chat.controls
        chat.found = await self.cache.find(chat.question, project, controls, chat.token)
        if controls.only_if_cached and chat.found.given is None:
            raise NotCached(asked_headers(chat.found.judgement, False, controls.ignored))
        if chat.found.lead is not None:
            chat.found.lead.is_recorded = chat.passage.streams
            chat.passage.witness = partial(self._hear, chat)

    def _note(self, chat: Chat) -> None:
        judgement, passage = chat.found.judgement, chat.passage
        passage.verdict, passage.verdict_reason = judgement.verdict, judgement.reason
        metrics.of(metrics.CACHE_VERDICTS, judgement.verdict, judgement.reason).inc()
        if chat.question is not None:
            passage.cache_entry = chat.question.digest
            self.cache.counts.note(passage.context.project, passage.model, judgement.verdict, chat.found.given)

    # -- leading -------------------------------------------------------------------------------------------------

    @contextmanager
    def _leading(self, chat: Chat) -> Iterator[None]:
        try:
            yield
        finally:
            if chat.found.lead is not None:
                self.cache.end(chat.found.lead, None)

    def _hear(self, chat: Chat, data: bytes) -> None:
        """A chunk of the leader's stream."""
        if not chat.answer_id:
            chat.answer_id = _id_in(data) or b"\n"
        told = data.replace(chat.answer_id, chat.token.encode())
        chat.chunks.append(told)
        if chat.found.lead is not None:
            self.cache.tell(chat.found.lead, b"data: %b\n\n" % told)

    def _record_whole(self, chat: Chat, answer: bytes) -> None:
        if chat.found.lead is None:
            return
        try:
            document = msgspec.json.decode(answer)
            unfit = chat_answers.unfit_document(document) if chat.passage.api == "chat" else document.get("error")
        except (msgspec.DecodeError, AttributeError):
            return
        if unfit is None:
            self._land(chat, answer.replace(_id_in(answer) or b"\n", chat.token.encode()))

    def _record_stream(self, chat: Chat) -> None:
        if chat.found.lead is None or not chat.chunks:
            return
        try:
            if chat.passage.api == "chat":
                document = chat_answers.document_of(chat.chunks, chat.passage.raw_usage)
                if chat_answers.unfit_document(document) is None:
                    self._land(chat, _encode(document))
            elif all(b'"error"' not in chunk for chunk in chat.chunks):
                self._land(chat, b"{}")
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
            return

    def _land(self, chat: Chat, body: bytes) -> None:
        passage, flight = chat.passage, chat.found.lead
        assert flight is not None  # noqa: S101
        usage = passage.usage
        recording = Recording(
            digits=chat.token,
            body=body,
            frames=b"".join(flight.pieces),
            marks=flight.marks,
            backend=passage.endpoint.name,
            seconds=(passage.answered_at or time.perf_counter()) - passage.called_at,
            input_tokens=usage.input_tokens if usage else 0,
            output_tokens=usage.output_tokens if usage else 0,
        )
        self.cache.land(flight, passage.context.project, passage.model, recording)

    def _fallback(self, chat: Chat, error: ApiError) -> Entry:
        """An expired entry in place of a failure, where the request accepts one (RFC 5861). Raises `error`."""
        if error.status < 500 or chat.found.entry is None:
            raise error
        chat.found.judgement, chat.found.lead = Judgement(Verdict.STALE, "stale-if-error"), None
        chat.passage.is_told = False
        self._note(chat)
        return chat.found.entry

    # -- giving --------------------------------------------------------------------------------------------------

    def _given(self, chat: Chat, entry: Entry) -> bytes:
        answer = _own(entry.recording.body, entry.recording)
        self._passthrough.note_given(chat.passage, entry.recording, len(answer))
        return answer

    def _given_frames(self, chat: Chat, entry: Entry) -> bytes:
        frames = _own(entry.recording.frames or _frames_of(entry.recording), entry.recording)
        frames += self._last_frames(chat, entry)
        self._passthrough.note_given(chat.passage, entry.recording, len(frames))
        return frames

    def _last_frames(self, chat: Chat, entry: Entry) -> bytes:
        usage = b""
        if chat.passage.wants_usage and chat.passage.api == "chat":
            told = chat_answers.usage_chunk(msgspec.json.decode(_own(entry.recording.body, entry.recording)))
            usage = b"data: %b\n\n" % _encode(told) if told is not None else b""
        return usage + sse.DONE_FRAME

    async def _shared(self, chat: Chat) -> Entry | None:
        """The answer of the one who is followed; None where nobody is, or it came to nothing."""
        following = chat.found.follow
        if following is None or chat.question is None:
            return None
        pieces = self.cache.follow(following)
        async with aclosing(pieces):  # type: ignore[type-var]
            async for told in pieces:
                if isinstance(told, Entry) and told.canonical == chat.question.canonical:
                    return told
        await self._go_on_alone(chat)
        return None

    async def _go_on_alone(self, chat: Chat) -> None:
        """Who was followed failed, or is lost: then this request may be the one to ask for others."""
        following, chat.found.follow = chat.found.follow, None
        if isinstance(following, Remote) and following.is_lost:
            await self._find(chat)
            chat.found.follow = None
        if chat.found.lead is None and chat.found.given is None:
            chat.found.judgement = Judgement(Verdict.MISS, "failed for another")
        self._note(chat)

    async def _followed(self, chat: Chat) -> AsyncIterator[bytes]:
        """Another's stream under an id of our own; nothing where its leader said nothing."""
        assert chat.found.follow is not None  # noqa: S101
        assert chat.question is not None  # noqa: S101
        leader, own, told = chat.found.follow.token.encode(), b"chatcmpl-" + _new_id(), 0
        following, entry = self.cache.follow(chat.found.follow), None
        async with aclosing(following):  # type: ignore[type-var]
            async for piece in following:
                if isinstance(piece, Entry):
                    entry = piece if piece.canonical == chat.question.canonical else None
                else:
                    told += len(piece)
                    yield piece.replace(leader, own)
        if entry is None and told:
            yield b"data: %b\n\n" % BackendError("The answer that this request shared broke off. Ask again.").body()
        elif entry is not None and told:
            yield self._last_frames(chat, entry)
            self._passthrough.note_given(chat.passage, entry.recording, told)
        elif entry is not None:
            yield self._given_frames(chat, entry)

    # -- revalidating --------------------------------------------------------------------------------------------

    def _revalidate(self, chat: Chat) -> None:
        if chat.found.judgement.revalidates:
            task = asyncio.ensure_future(self._ask_anew(chat))
            self._revalidations.add(task)
            task.add_done_callback(self._revalidations.discard)

    async def _ask_anew(self, chat: Chat) -> None:
        """A fresh answer for those who come later; nobody waits for it."""
        passage = chat.passage
        context = RequestContext(passage.context.project, new_id("req"))
        try:
            anew = await self.begin(passage.api, passage.asked, context, replace(chat.controls, no_cache=True))
            if anew.found.lead is None:
                return
            if passage.streams:
                async for _ in self.stream(anew):
                    pass
            else:
                await self.complete(anew)
        except ApiError as error:
            metrics.CACHE_FAULTS.labels("revalidation").inc()
            log.warning("cache_revalidation_failed", request_id=context.request_id, reason=error.message)


def _bypass(reason: str) -> Found:
    return Found(Judgement(Verdict.BYPASS, reason))


def _refuse_duplicates(body: bytes) -> None:
    """A key twice in one object means one thing to us and may mean another to the backend, which gets it as it came."""

    def check(pairs: list[tuple[str, Any]]) -> None:
        if len(pairs) != len({name for name, _ in pairs}):
            raise NotComparableError("a duplicate key")

    json.loads(body, object_pairs_hook=check)


def _id_in(answer: bytes) -> bytes | None:
    try:
        found = msgspec.json.decode(answer).get("id")
    except (msgspec.DecodeError, AttributeError):
        return None
    return found.encode() if isinstance(found, str) and len(found) >= MIN_ID_CHARS else None


def _new_id() -> bytes:
    return new_id("chat").partition("_")[2].encode()


def _own(recorded: bytes, recording: Recording) -> bytes:
    return recorded.replace(recording.digits.encode(), b"chatcmpl-" + _new_id())


def _frames_of(recording: Recording) -> bytes:
    chunks = chat_answers.chunks_of(msgspec.json.decode(recording.body))
    return b"".join(b"data: %b\n\n" % _encode(chunk) for chunk in chunks)

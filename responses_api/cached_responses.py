"""A create, answered by the cache or by the engine: led, followed, replayed or revalidated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import lru_cache, partial

import structlog
from msgspec import Struct

from responses_api import metrics
from responses_api.backends.registry import Registry
from responses_api.cache import policy
from responses_api.cache.controls import Controls
from responses_api.cache.entry import Entry, Recording
from responses_api.cache.flight import Flight
from responses_api.cache.headers import asked_headers
from responses_api.cache.key import NotComparableError, Question, Scope, plain, question_of
from responses_api.cache.policy import Judgement, Verdict
from responses_api.cache.replay import digits_of, outcome_of
from responses_api.cache.service import Found, Remote, ResponseCache
from responses_api.engine import Engine
from responses_api.errors import ApiError, NotCached
from responses_api.run import RequestContext, Run
from responses_api.shapes.request import CreateRequest, parse_create_request

log = structlog.get_logger(__name__)

MAX_LOOKS = 3
"""How often a request whose leader was lost looks again before it asks on its own."""


class Create(Struct):
    """One create on its way; `found` is what the cache has for it."""

    run: Run
    controls: Controls
    body: bytes
    found: Found
    question: Question | None = None

    @property
    def follows(self) -> bool:
        """Is somebody else asking?"""
        return self.found.follow is not None


class CachedResponses:
    """One per event loop; without a cache (there is no Redis) everything is the engine's."""

    def __init__(self, engine: Engine, registry: Registry, cache: ResponseCache | None) -> None:
        self.engine = engine
        self._registry = registry
        self._cache = cache
        self._revalidations: set[asyncio.Task[None]] = set()

    async def begin(self, request: CreateRequest, body: bytes, context: RequestContext, controls: Controls) -> Create:
        """What can be refused before anyone is asked is refused. Raises `ApiError`."""
        run = await self.engine.prepare(request, context)
        reason = self.bypass_reason(request, controls)
        create = Create(run, controls, body, _bypass(reason or ""))
        if reason is None:
            try:
                create.question = self.question_of(run, controls)
                await self._find(create)
            except NotComparableError as error:
                create.found = _bypass(str(error))
        self._note(create)
        return create

    async def complete(self, create: Create) -> bytes:
        """The finished response as JSON. Raises `ApiError`."""
        if create.question is None:
            return await self.engine.complete(create.run)
        if not create.follows:
            return await self._answer(create)
        with self.engine.following(create.run):
            for _ in range(MAX_LOOKS):
                if (entry := await self._awaited(create)) is not None:
                    create.found.entry = entry
                    return await self.replay(create, entry)
                if not await self.look_again(create):
                    break
            return await self._answer(create)

    def question_of(self, run: Run, controls: Controls) -> Question:
        """Raises `NotComparableError`."""
        config, request = self.cache.config, run.request
        scope = Scope(
            run.context.project,
            controls.namespace,
            request.model if config.cache_by_model else None,
            self._registry.names_for(request.model) if config.cache_by_provider else None,
        )
        history = None
        is_continued = run.response.previous_response_id or request.conversation_id
        if is_continued or request.has_references or run.response.instructions != request.params.instructions:
            said = run.prompt.raw_items or run.prompt.items
            history = [run.prompt.instructions, *plain(said)]
        return question_of("responses", scope, request.fields, history)

    @property
    def cache(self) -> ResponseCache:
        assert self._cache is not None  # noqa: S101 - without one every request is bypassed
        return self._cache

    async def aclose(self) -> None:
        for task in self._revalidations:
            task.cancel()

    # -- finding -------------------------------------------------------------------------------------------------

    async def look_again(self, create: Create) -> bool:
        """Whoever was followed has failed, or is lost; is there somebody else to follow?"""
        following, create.found.follow = create.found.follow, None
        if isinstance(following, Remote) and following.is_lost:
            await self._find(create)
        else:
            # Equal requests that fail one after the other would wait for each other in turn.
            create.found.judgement = Judgement(Verdict.MISS, "failed for another")
        self._note(create)
        return create.follows

    def bypass_reason(self, request: CreateRequest, controls: Controls) -> str | None:
        """Why the cache has nothing to do with it; None: it has."""
        if self._cache is None:
            return "no redis"
        return policy.bypass_reason(self._cache.config, controls) or policy.unfit_request(request)

    async def _find(self, create: Create) -> None:
        assert create.question is not None  # noqa: S101
        run, controls = create.run, create.controls
        try:
            project, digits = run.context.project, digits_of(run.response.id)
            create.found = await self.cache.find(create.question, project, controls, digits)
            if controls.only_if_cached and create.found.given is None:
                raise NotCached(asked_headers(create.found.judgement, False, controls.ignored))
        except BaseException:
            # What the run holds (its conversation's lock) it gives back.
            with self.engine.following(run):
                raise
        if create.found.lead is not None:
            create.found.lead.is_recorded = run.streams and not run.request.wants_obfuscation
            run.witness = partial(self._witness, create.found.lead)

    def _note(self, create: Create) -> None:
        judgement = create.found.judgement
        create.run.verdict, create.run.verdict_reason = judgement.verdict, judgement.reason
        metrics.of(metrics.CACHE_VERDICTS, judgement.verdict, judgement.reason).inc()
        if create.question is not None:
            create.run.cache_entry = create.question.digest
            self.cache.counts.note(
                create.run.context.project, create.run.request.model, judgement.verdict, create.found.given
            )

    # -- answering -----------------------------------------------------------------------------------------------

    async def _answer(self, create: Create) -> bytes:
        if (entry := create.found.given) is not None:
            self.revalidate(create)
            return await self.replay(create, entry)
        lead = create.found.lead
        try:
            return await self.engine.complete(create.run)
        except ApiError as error:
            if not self.falls_back(create, error) or create.found.entry is None:
                raise
            return await self.replay(create, create.found.entry)
        finally:
            if lead is not None:
                self.cache.end(lead, None)

    async def replay(self, create: Create, entry: Entry) -> bytes:
        """The response as JSON, of what was answered before. Raises `ApiError`."""
        return await self.engine.replay(create.run, outcome_of(entry.recording, create.run.response.id))

    @contextmanager
    def leading(self, create: Create) -> Iterator[None]:
        """However it ends, those who follow hear of it."""
        flight = create.found.lead
        try:
            yield
        finally:
            if flight is not None:
                self.cache.end(flight, None)

    async def is_awaited(self, create: Create) -> bool:
        """Do others wait for what this request leads?"""
        flight = create.found.lead
        return flight is not None and await self.cache.is_followed(flight)

    def falls_back(self, create: Create, error: ApiError) -> bool:
        """The backend failed; will an expired entry do (RFC 5861, stale-if-error)?"""
        if error.status < 500 or create.found.entry is None or create.run.request.conversation_id is not None:
            return False
        create.found.judgement, create.found.lead = Judgement(Verdict.STALE, "stale-if-error"), None
        create.run.witness, create.run.settled = None, False
        self._note(create)
        return True

    async def _awaited(self, create: Create) -> Entry | None:
        """The leader's answer, when it is there; None: the leader is lost."""
        assert create.found.follow is not None  # noqa: S101
        assert create.question is not None  # noqa: S101
        following = self.cache.follow(create.found.follow)
        async with aclosing(following):  # type: ignore[type-var]
            async for told in following:
                if isinstance(told, Entry):
                    return told if told.canonical == create.question.canonical else None
        return None

    def _witness(self, flight: Flight, run: Run, encoded: bytes) -> None:
        """The leader's response is concluded."""
        response, usage = run.response, run.response.usage
        if policy.unfit_response(response) is not None:
            self.cache.end(flight, None)
            return
        recording = Recording(
            digits=flight.token,
            body=encoded,
            frames=b"".join(flight.pieces),
            marks=flight.marks,
            backend=run.endpoint.name,
            seconds=run.answered_at - run.called_at,
            input_tokens=usage.input_tokens if usage else 0,
            output_tokens=usage.output_tokens if usage else 0,
        )
        self.cache.land(flight, run.context.project, response.model, recording)

    # -- revalidating --------------------------------------------------------------------------------------------

    def revalidate(self, create: Create) -> None:
        """Has a stale answer replaced for those who come later, where the request allows it (RFC 5861)."""
        if create.found.judgement.revalidates and create.run.request.conversation_id is None:
            task = asyncio.ensure_future(self._ask_anew(create))
            self._revalidations.add(task)
            task.add_done_callback(self._revalidations.discard)

    async def _ask_anew(self, create: Create) -> None:
        """Nobody waits for it, and nothing of it stays but the entry."""
        context = RequestContext(create.run.context.project, create.run.context.request_id)
        try:
            request = parse_create_request(create.body)
            request.params.store = False
            run = await self.engine.prepare(request, context, streams=False)
            anew = Create(run, replace(create.controls, no_cache=True), create.body, _bypass(""), create.question)
            await self._find(anew)
            if anew.found.lead is not None:
                run.verdict, run.verdict_reason = Verdict.MISS, "revalidation"
                with self.leading(anew):
                    await self.engine.complete(run)
        except ApiError as error:
            metrics.CACHE_FAULTS.labels("revalidation").inc()
            log.warning("cache_revalidation_failed", request_id=context.request_id, reason=error.message)


@lru_cache(maxsize=256)
def _bypass(reason: str) -> Found:
    """Shared, since nothing is ever done to it."""
    return Found(Judgement(Verdict.BYPASS, reason))

"""Question → what the cache has for it: an entry, somebody's answer in the making, or the task of asking the backend.

Nothing in here may delay or fail a request: what takes longer than `LOOKUP_SECONDS`, or fails, is as if there were no
cache, counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from msgspec import Struct

from responses_api import metrics
from responses_api.breaker import Breaker
from responses_api.cache import entry as entries
from responses_api.cache import policy
from responses_api.cache.controls import Controls
from responses_api.cache.counts import Counts
from responses_api.cache.entry import Entry, EntryCodec, Recording, names_of
from responses_api.cache.epochs import Epochs
from responses_api.cache.filing_queue import File, FilingQueue
from responses_api.cache.flight import Flight
from responses_api.cache.flights import LEASE_MS, Flights, Sight, seen_in
from responses_api.cache.headers import Header, asked_headers, given_headers
from responses_api.cache.invalidation import Invalidation
from responses_api.cache.key import Question
from responses_api.cache.layout import prefix_of
from responses_api.cache.memory import BoundedMemory
from responses_api.cache.policy import Judgement, Verdict
from responses_api.config.schema import RouterConfig
from responses_api.patience import Patience
from responses_api.redis.pool import CONNECTION_ERRORS, RedisPool
from responses_api.vault import LockedAwayError, Vault

log = structlog.get_logger(__name__)

LOOKUP_SECONDS = 0.035
LOOK_AT_CLOCK_SECONDS = 0.0125
"""So that a lookup is given up after 50 ms at most."""
FAILURES = 3
PAUSE_SECONDS = 2.0
TELL_SECONDS = 0.1
"""How often a stream is told to followers in other processes."""
MAX_FLIGHT_SECONDS = 3600
MEMORY_SECONDS = 1.0
"""How long a process gives an entry from memory before it asks Redis for it again: it may have been replaced."""
FIRST_LOOK_SECONDS = 0.01
LONGEST_LOOK_SECONDS = 0.1


GIVEN = (Verdict.HIT, Verdict.STALE)
_UNKNOWN = Judgement(Verdict.MISS, "unknown")
_ASKED_ANEW = Judgement(Verdict.MISS, "no-cache")


@dataclass(slots=True)
class Remote:
    """A flight of another process."""

    digest: str
    token: str
    is_lost: bool = False
    """Did its leader vanish without a word?"""


class Found(Struct):
    """`entry` with hit and stale, and as the fallback of a miss; `lead`: ask, and tell; `follow`: somebody asks."""

    judgement: Judgement
    entry: Entry | None = None
    lead: Flight | None = None
    follow: Flight | Remote | None = None

    @property
    def given(self) -> Entry | None:
        """The entry that answers the question by itself, if one does."""
        return self.entry if self.judgement.verdict in GIVEN else None

    def headers(self, controls: Controls) -> Sequence[Header]:
        """What the cache did, as far as it is known by now."""
        judgement, entry, lead = self.judgement, self.entry, self.lead
        if entry is not None and judgement.verdict in GIVEN:
            return given_headers(judgement, time.time() - entry.created_at, entry.ttl, entry.id, controls.ignored)
        is_stored = lead is not None and (not lead.is_over or lead.entry is not None)
        told = asked_headers(judgement, is_stored, controls.ignored)
        if entry is not None and judgement.verdict is Verdict.COLLAPSED:
            return [*told, (b"x-cache-entry", entry.id.encode())]
        if lead is not None and is_stored:
            return [*told, (b"x-cache-entry", entries.entry_id(lead.question.digest).encode())]
        return told


class _Landing:
    """Waits for Redis to have heard of an answer (`redis.link.Waiter`)."""

    __slots__ = ("_cache", "_flight", "_project")

    def __init__(self, cache: ResponseCache, flight: Flight, project: str) -> None:
        self._cache = cache
        self._flight = flight
        self._project = project

    def done(self) -> bool:
        return False

    def set_result(self, reply: Any, /) -> None:
        self._cache.landed(self._flight, self._project, is_known=bool(reply))

    def set_exception(self, _: BaseException, /) -> None:
        self._cache.not_landed(self._flight)


class ResponseCache:
    """One per event loop."""

    def __init__(self, config: RouterConfig, pool: RedisPool, file: File | None, vault: Vault) -> None:
        self.config = config.response_cache
        self.prefix = prefix_of(config)
        self.pool = pool
        self.memory: BoundedMemory[str, tuple[Entry, float]] = BoundedMemory(self.config.memory_bytes)
        self.epochs = Epochs(pool, self.prefix, self.memory.clear)
        self._codec = EntryCodec(vault)
        self.flights = Flights(pool, self.prefix, vault)
        self.invalidation = Invalidation(pool, self.prefix, self.flights, self._codec)
        self.counts = Counts(pool, self.prefix)
        self._filing = FilingQueue(file)
        self._flying: dict[str, Flight] = {}
        self._breaker = Breaker(FAILURES, PAUSE_SECONDS)
        self._patience = Patience(asyncio.get_running_loop(), LOOK_AT_CLOCK_SECONDS)
        self._renewal: asyncio.Task[None] | None = None
        self._asides: set[asyncio.Future[object]] = set()

    async def aclose(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        for flight in list(self._flying.values()):
            self.end(flight, None)
        await self._filing.aclose()
        self.counts.flush()
        self._patience.close()

    # -- looking -------------------------------------------------------------------------------------------------

    def recall(self, question: Question, project: str, controls: Controls) -> Found | None:
        """A hit from the process's own memory, where there is one; costs no round trip."""
        if controls.no_cache or self.epochs.known(project) is None:
            return None
        remembered = self.memory.get(question.digest)
        if remembered is None:
            return None
        entry, read_at = remembered
        if time.monotonic() - read_at > MEMORY_SECONDS or entry.canonical != question.canonical:
            return None
        judgement = policy.judge(time.time() - entry.created_at, entry.ttl, controls)
        return Found(judgement, entry) if judgement.verdict is Verdict.HIT else None

    async def find(self, question: Question, project: str, controls: Controls, token: str) -> Found:
        """What there is. A `Found` with a `lead` obliges its owner to `end` that flight.

        `token` is the leader's, unique, and in every id of what it tells.
        """
        if (found := self.recall(question, project, controls)) is not None:
            return found
        flying = self._flying.get(question.digest)
        if flying is not None and not (controls.no_cache or controls.only_if_cached) and self._is_current(flying):
            return Found(Judgement(Verdict.COLLAPSED, "in flight"), follow=flying)
        if not self._breaker.allows(time.monotonic()):
            return _without("cache unavailable")
        wait = self._patience.begin(LOOKUP_SECONDS)
        try:
            found = await self._look(question, project, controls, token)
        except (*CONNECTION_ERRORS, asyncio.CancelledError) as error:
            self._forget_lead(question, token)
            if isinstance(error, asyncio.CancelledError) and not wait.was_timeout():
                self._breaker.withdrawn()
                raise
            self._breaker.failed(time.monotonic())
            metrics.CACHE_FAULTS.labels("lookup").inc()
            log.warning("cache_lookup_failed", reason=str(error) or type(error).__name__)
            return _without("cache unavailable")
        finally:
            self._patience.end(wait)
        self._breaker.succeeded()
        return found

    def _is_current(self, flight: Flight) -> bool:
        """Has nothing been purged since it began, as far as is known?"""
        return self.epochs.holds and flight.generation == self.epochs.generation

    def _forget_lead(self, question: Question, token: str) -> None:
        """Redis may have heard of us: nobody is to wait for a leader that gave up."""
        self._aside(self.flights.fail(question.digest, token))

    async def _look(self, question: Question, project: str, controls: Controls, token: str) -> Found:
        token = "" if controls.only_if_cached else token
        epochs = self.epochs.known(project)
        if epochs is None:
            epochs = await self.epochs.of(project)
        generation = self.epochs.generation
        seen = seen_in(await self.flights.look(question.digest, token, generation, at_entry=not controls.no_cache))
        miss, fallback = _ASKED_ANEW if controls.no_cache else _UNKNOWN, None
        if seen.sight is Sight.ANSWER:
            entry, reason = self._read(seen.value, question, project)
            if entry is None:
                miss = Judgement(Verdict.MISS, reason)
            elif not entry.survives(epochs):
                miss = Judgement(Verdict.MISS, "purged")
            else:
                judgement = policy.judge(time.time() - entry.created_at, entry.ttl, controls)
                if judgement.verdict is not Verdict.MISS:
                    self.memory.put(entry.digest, (entry, time.monotonic()), entry.size)
                    return Found(judgement, entry)
                miss, fallback = judgement, entry if judgement.is_fallback else None
            seen = seen_in(await self.flights.look(question.digest, token, generation, at_entry=False))
        if seen.sight is Sight.BANNED:
            return _without("banned")
        if seen.sight is Sight.LEAD:
            # Of the generation that was looked with: a purge since then concerns it.
            lead = self._lead(Flight(question, token, controls, epochs, generation))
            return Found(miss, fallback, lead=lead)
        if seen.sight is Sight.FLYING and not controls.no_cache and not controls.only_if_cached:
            leader = Remote(question.digest, seen.value.decode())
            return Found(Judgement(Verdict.COLLAPSED, "in flight"), fallback, follow=leader)
        return Found(miss, fallback)

    def _read(self, value: bytes, question: Question, project: str) -> tuple[Entry | None, str]:
        """An entry's bytes, where they answer this question; else None and why not."""
        entry = self._codec.decode(value)
        if entry is None or entry.digest != question.digest or entry.project != project:
            metrics.CACHE_FAULTS.labels("corrupt").inc()
            self._aside(self.flights.forget(question.digest))
            return None, "corrupt"
        if entry.canonical != question.canonical:
            metrics.CACHE_FAULTS.labels("collision").inc()
            return None, "collision"
        return entry, ""

    # -- leading -------------------------------------------------------------------------------------------------

    def _lead(self, flight: Flight) -> Flight:
        self._flying[flight.question.digest] = flight
        if self._renewal is None:
            self._renewal = asyncio.ensure_future(self._renew())
        return flight

    def tell(self, flight: Flight, piece: bytes) -> None:
        """What a stream has said; followers in other processes hear of it a little later."""
        flight.tell(piece)
        if flight.unsent_since is None:
            flight.unsent_since = asyncio.get_running_loop().call_later(TELL_SECONDS, self._send_pieces, flight)

    def _send_pieces(self, flight: Flight) -> None:
        flight.unsent_since = None
        if flight.is_over or flight.sent == len(flight.pieces):
            return
        piece, number = b"".join(flight.pieces[flight.sent :]), len(flight.pieces)
        flight.sent = number
        self._aside(self.flights.tell(flight.question.digest, flight.token, number, piece))

    def land(self, flight: Flight, project: str, model: str, recording: Recording) -> None:
        """Makes the answer known to everyone.

        Nobody waits for Redis to have it: until then a repeat finds the flight, and follows it.
        """
        controls, config = flight.controls, self.config
        entry = Entry(
            digest=flight.question.digest,
            canonical=flight.question.canonical,
            project=project,
            namespace=controls.namespace or "",
            model=model,
            tags=list(controls.tags),
            epochs=_concerning(flight.epochs, controls, model) if flight.epochs else {},
            created_at=time.time(),
            ttl=min(controls.ttl or config.ttl_seconds, config.max_ttl_seconds),
            recording=recording,
        )
        if entry.size > config.max_entry_bytes:
            metrics.CACHE_WRITES.labels("too large").inc()
            self.end(flight, None)
            return
        landing = _Landing(self, flight, project)
        self.flights.land(flight.question.digest, flight.token, self._codec.encode(entry), landing)
        # What it replaces is not to be given here any more; elsewhere it is for `MEMORY_SECONDS` at most.
        self.memory.remove(entry.digest)
        self.end(flight, entry)

    def end(self, flight: Flight, entry: Entry | None) -> None:
        """Once for each flight that was led; again changes nothing."""
        if flight.is_over:
            return
        flight.end(entry)
        if self._flying.get(flight.question.digest) is flight:
            del self._flying[flight.question.digest]
        if entry is None:
            self._aside(self.flights.fail(flight.question.digest, flight.token))

    def landed(self, flight: Flight, project: str, *, is_known: bool) -> None:
        """Redis has heard of the answer, and knows it now unless the question was purged meanwhile."""
        if is_known:
            self._filing.add((project, flight.question.digest))
        else:
            metrics.CACHE_WRITES.labels("purged meanwhile").inc()

    def not_landed(self, flight: Flight) -> None:
        metrics.CACHE_WRITES.labels("not landed").inc()
        self._aside(self.flights.abandon(flight.question.digest, flight.token))

    async def _renew(self) -> None:
        """Keeps the leases of all that fly; learns who is followed from elsewhere."""
        while self._flying:
            await asyncio.sleep(LEASE_MS / 5000)
            for flight in list(self._flying.values()):
                if time.monotonic() - flight.began_at > MAX_FLIGHT_SECONDS:
                    self.end(flight, None)
                with suppress(*CONNECTION_ERRORS):
                    await self._ask_followers(flight)
        self._renewal = None

    async def is_followed(self, flight: Flight) -> bool:
        """Does anybody else wait for it, here or in another process?"""
        if not flight.is_over:
            with suppress(*CONNECTION_ERRORS):
                await self._ask_followers(flight)
        return flight.is_followed

    async def _ask_followers(self, flight: Flight) -> None:
        if await self.flights.renew(flight.question.digest, flight.token) == 2:
            flight.followed_elsewhere = True

    def _aside(self, reply: asyncio.Future[object] | object) -> None:
        """Something nobody waits for; its failure is counted."""
        task: asyncio.Future[object] = asyncio.ensure_future(reply)  # type: ignore[arg-type]
        self._asides.add(task)
        task.add_done_callback(self._noted)

    def _noted(self, task: asyncio.Future[object]) -> None:
        self._asides.discard(task)
        if not task.cancelled() and task.exception() is not None:
            metrics.CACHE_FAULTS.labels("write").inc()

    # -- following -----------------------------------------------------------------------------------------------

    async def follow(self, following: Flight | Remote) -> AsyncIterator[bytes | Entry]:
        """What the leader tells, piece by piece, and at last its entry; without an entry it has failed, or died."""
        if isinstance(following, Remote):
            async for told in self._follow_remote(following):
                yield told
            return
        following.followers += 1
        try:
            seen = 0
            while not following.is_over or seen < len(following.pieces):
                if seen == len(following.pieces):
                    await following.news()
                while seen < len(following.pieces):
                    seen += 1
                    yield following.pieces[seen - 1]
            if following.entry is not None:
                yield following.entry
        finally:
            following.followers -= 1

    async def _follow_remote(self, remote: Remote) -> AsyncIterator[bytes | Entry]:
        pause, told_bytes, seen = FIRST_LOOK_SECONDS, 0, 0
        while True:
            try:
                sight, pieces, answer = await self.flights.told(remote.digest, remote.token, seen)
            except (*CONNECTION_ERRORS, LockedAwayError):
                return
            for number, piece in pieces:
                seen = number
                told_bytes += len(piece)
                yield piece
            entry = self._codec.decode(answer) if sight is Sight.ANSWER else None
            if entry is not None:
                # The end of a stream is told with the answer only.
                if rest := entry.recording.frames[told_bytes:]:
                    yield rest
                yield entry
            if sight is not Sight.FLYING:
                remote.is_lost = sight is Sight.NONE
                return
            pause = FIRST_LOOK_SECONDS if pieces else min(pause * 2, LONGEST_LOOK_SECONDS)
            await asyncio.sleep(pause)


def _concerning(epochs: Mapping[str, int], controls: Controls, model: str) -> dict[str, int]:
    names = names_of(controls.namespace or "", model, controls.tags)
    return {name: value for name in names if (value := epochs.get(name, 0))}


def _without(reason: str) -> Found:
    return Found(Judgement(Verdict.BYPASS, reason))

"""The endpoints as they are doing: who is asked, who is not, and in which order.

Each call reports how it went. What one process learns of an endpoint, `health` tells the others.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from math import ceil

import structlog
from msgspec import Struct

from responses_api import metrics
from responses_api.backends import select
from responses_api.backends.registry import Endpoint, Registry
from responses_api.breaker import Breaker, BreakerState
from responses_api.config.schema import RoutingConfig
from responses_api.errors import ApiError, BackendError, BackendUnavailable, DeadlinePassed, RateLimited

log = structlog.get_logger(__name__)

MAX_REST_SECONDS = 60.0
"""How long an endpoint is spared at most that asks for it with a 429."""
DEFAULT_REST_SECONDS = 1.0

Told = Callable[[str, float, str], None]
"""Endpoint, seconds for which it is not to be asked (0: it is well again), reason."""


class Standing(Struct, omit_defaults=True):
    """How an endpoint is doing, as one process finds it. `state` is its breaker's; `reason` why it is not asked."""

    state: str = BreakerState.CLOSED.value
    in_flight: int = 0
    reason: str = ""


class Member:
    """One endpoint's standing in this process."""

    __slots__ = ("breaker", "failed_probe", "in_flight", "reason")

    def __init__(self, rules: RoutingConfig) -> None:
        self.breaker = Breaker(
            rules.breaker_failures, rules.breaker_pause, rules.breaker_max_pause, rules.breaker_error_share
        )
        self.in_flight = 0
        self.reason = ""
        """Why it is not asked."""
        self.failed_probe = False
        """Is that what a probe said? Then a probe can say otherwise."""


class Fleet:
    """One per event loop. `clock` gives seconds that only grow."""

    def __init__(self, registry: Registry, rules: RoutingConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = registry
        self.rules = rules
        self._clock = clock
        self._members: dict[str, Member] = {}
        self._spared: set[str] = set()
        """Endpoints that are not simply asked: mostly none, and then nobody looks further."""
        self.tell: Told | None = None
        """Hears of endpoints that are to be spared everywhere."""

    def member(self, name: str) -> Member:
        member = self._members.get(name)
        if member is None:
            member = self._members[name] = Member(self.rules)
        return member

    def state(self, name: str) -> BreakerState:
        return self.member(name).breaker.state(self._clock())

    # -- whom to ask ---------------------------------------------------------------------------------------------

    def candidates(self, model: str, served_by: str = "", anchor: str = "") -> Sequence[Endpoint]:
        """The endpoints that may be tried, the one to begin with first; `draw` chooses among the others.

        `served_by` is who served the conversation before; `anchor` stands for a conversation where that is not known.
        Raises `ModelNotFound`, or `BackendUnavailable` where all are drained.
        """
        endpoints = self.registry.endpoints_for(model)
        if len(endpoints) == 1:
            return endpoints
        if not self._spared:
            first = self._first(endpoints, served_by, anchor)
            return [first, *(each for each in endpoints if each is not first)]
        now = self._clock()
        well = [each for each in endpoints if self.member(each.name).breaker.state(now) is BreakerState.CLOSED]
        # One whose pause is over is tried with a request that somebody else can still serve.
        rested = [each for each in endpoints if each not in well and self.member(each.name).breaker.would_allow(now)]
        ordered = rested[:1]
        if well:
            ordered.append(self._first(well, served_by, anchor))
        return [*ordered, *(each for each in well if each not in ordered)] or endpoints

    def _first(self, well: Sequence[Endpoint], served_by: str, anchor: str) -> Endpoint:
        if self.rules.sticky and (served_by or anchor):
            before = next((each for each in well if each.name == served_by), None)
            if before is not None:
                return before
            if anchor:
                return select.sticky(well, anchor)
        return self.draw(well)

    def draw(self, endpoints: Sequence[Endpoint]) -> Endpoint:
        """One of them, by the policy."""
        draw = random.random()  # noqa: S311
        if self.rules.lb_policy == "least_busy":
            return select.least_busy(
                endpoints, {each.name: self.member(each.name).in_flight for each in endpoints}, draw
            )
        return select.choose(endpoints, draw)

    def refusal(self, model: str) -> BackendUnavailable:
        """For a model none of whose endpoints may be asked."""
        endpoints, now = self.registry.endpoints_for(model), self._clock()
        members = [(each.name, self.member(each.name)) for each in endpoints]
        seconds = max(1, ceil(min(member.breaker.open_until for _, member in members) - now))
        reasons = "; ".join(f"'{name}': {member.reason or 'is being tried'}" for name, member in members[:3])
        return BackendUnavailable(
            f"No backend of model '{model}' may be asked just now ({reasons}).",
            headers=[("retry-after", str(seconds))],
        )

    # -- how it went ---------------------------------------------------------------------------------------------

    def is_spared(self, endpoint: Endpoint) -> bool:
        """Is it not simply asked? It may be tried."""
        return endpoint.name in self._spared

    def allows(self, endpoint: Endpoint) -> bool:
        """May it be asked now? Of those whose pause is over one call is told so, and its outcome decides."""
        return self.member(endpoint.name).breaker.allows(self._clock())

    def begin(self, endpoint: Endpoint) -> None:
        """A call begins."""
        self.member(endpoint.name).in_flight += 1

    def end(self, endpoint: Endpoint, error: BaseException | None, first_byte_seconds: float | None) -> None:
        """It has ended, with what error; `first_byte_seconds` None: no answer had begun."""
        member = self.member(endpoint.name)
        member.in_flight -= 1
        limit = self.rules.slow_first_byte
        if isinstance(error, RateLimited):
            self._spare(endpoint.name, rest_seconds(error), "asks for a rest (429)")
        elif isinstance(error, BackendError):
            self._note_failure(endpoint.name, error.message)
        elif isinstance(error, DeadlinePassed) or (error is not None and not isinstance(error, ApiError)):
            member.breaker.withdrawn()  # its client would not wait, or has left: nobody knows
        elif limit and first_byte_seconds is not None and first_byte_seconds > limit:
            self._note_failure(endpoint.name, f"took {first_byte_seconds:.1f} s to its first byte")
        else:
            member.breaker.succeeded()
            if endpoint.name in self._spared and self.state(endpoint.name) is BreakerState.CLOSED:
                self._recovered(endpoint.name)

    def _note_failure(self, name: str, reason: str) -> None:
        member, now = self.member(name), self._clock()
        if member.breaker.failed(now):
            self._spared.add(name)
            member.reason = reason.rstrip(".")
            self._tell(name, member.breaker.open_until - now, member.reason)

    def _spare(self, name: str, seconds: float, reason: str) -> None:
        member = self.member(name)
        member.breaker.open_for(seconds, self._clock())
        member.reason = reason
        self._spared.add(name)
        self._tell(name, seconds, reason)

    def _recovered(self, name: str) -> None:
        self.member(name).reason = ""
        self._spared.discard(name)
        self._tell(name, 0.0, "")

    def _tell(self, name: str, seconds: float, reason: str) -> None:
        if seconds:
            log.warning("backend_spared", backend=name, seconds=round(seconds, 1), reason=reason)
        else:
            log.info("backend_recovered", backend=name)
        self.publish_metrics()
        if self.tell is not None:
            self.tell(name, seconds, reason)

    # -- what others know ----------------------------------------------------------------------------------------

    def learn(self, name: str, seconds: float, reason: str) -> None:
        """Another process has it spared for so many seconds yet."""
        member = self.member(name)
        if member.breaker.open_until < self._clock() + seconds - 0.1:
            member.breaker.open_for(seconds, self._clock())
            member.reason = reason
            self._spared.add(name)
            self.publish_metrics()

    def learn_recovery(self, name: str) -> None:
        """Another process has had an answer from it."""
        member = self._members.get(name)
        if member is not None and member.breaker.state(self._clock()) is not BreakerState.CLOSED:
            member.breaker.close()
            member.reason = ""
            self._spared.discard(name)
            self.publish_metrics()

    def note_probe(self, name: str, failures: int, reason: str) -> None:
        """The outcome of a probe: how often in a row it has failed by now."""
        member = self.member(name)
        if failures >= PROBES_TO_SPARE:
            member.failed_probe = True
            self._spare(name, max(self.rules.breaker_pause, 2 * self.rules.probe_interval), reason)
        elif failures == 0 and member.failed_probe:
            # A server whose engine hangs still lists its models: what calls found out, only a call takes back.
            member.failed_probe = False
            member.breaker.close()
            self._recovered(name)

    def standings(self) -> dict[str, Standing]:
        found = {}
        for endpoint in self.registry.endpoints:
            member = self.member(endpoint.name)
            found[endpoint.name] = Standing(self.state(endpoint.name).value, member.in_flight, member.reason)
        return found

    def publish_metrics(self) -> None:
        for endpoint in self.registry.endpoints:
            state = self.state(endpoint.name)
            metrics.BACKEND_OPEN.labels(endpoint.name).set(0 if state is BreakerState.CLOSED else 1)


PROBES_TO_SPARE = 2


def rest_seconds(error: RateLimited) -> float:
    """How long a 429 asks to be left alone: `retry-after-ms`, `retry-after`, else a second."""
    headers = dict(error.headers)
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return min(max(float(headers[name]) * unit, 0.0), MAX_REST_SECONDS)
        except (KeyError, ValueError):
            continue
    return DEFAULT_REST_SECONDS

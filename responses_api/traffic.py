"""What happened in a span of time, in sums that can be added up: requests, verdicts, tokens, latencies. Pure.

Latencies are kept as histograms over a scale of quarter powers of two: a percentile read from them is right to within
9.1 %, and any two can be merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import floor, log2

import msgspec
from msgspec import Struct, field

from responses_api.cache.policy import Verdict
from responses_api.index_entry import IndexEntry

ENDED = ("completed", "incomplete", "failed", "cancelled")
GIVEN = (Verdict.HIT, Verdict.STALE, Verdict.COLLAPSED)
"""Verdicts of answers that no backend was asked for."""

SPANS = {60: 6 * 3600, 900: 3 * 86_400, 3600: 400 * 86_400}
"""Seconds of a bucket → for how many seconds it is kept."""
ALL = "all"
"""The dimension of everything; its one bucket has no name."""
DIMENSIONS = (ALL, "project", "model", "backend")

_STEPS_PER_DOUBLING = 4

Histogram = dict[int, int]
"""Place on the scale → how many. Place `p` holds what is from `2 ** (p / 4)` up to the next, in milliseconds."""
Key = tuple[int, int, str, str]
"""A bucket: its seconds, its start in Unix seconds, dimension and name."""


class Traffic(Struct, omit_defaults=True):
    """`saved_*` are tokens of answers that were given again; `gateway_ms` is the time the gateway itself added."""

    requests: int = 0
    failed: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    saved_input_tokens: int = 0
    saved_output_tokens: int = 0
    gateway_ms: float = 0
    duration: Histogram = field(default_factory=dict)
    first_token: Histogram = field(default_factory=dict)

    def add(self, entry: IndexEntry) -> None:
        """A request that has ended."""
        self.requests += 1
        self.failed += entry.status == "failed"
        self.verdicts[entry.verdict] = self.verdicts.get(entry.verdict, 0) + 1
        if entry.verdict in GIVEN:
            self.saved_input_tokens += entry.input_tokens
            self.saved_output_tokens += entry.output_tokens
        else:
            self.input_tokens += entry.input_tokens
            self.output_tokens += entry.output_tokens
        if not entry.background:  # there it is the time in the queue
            self.gateway_ms += entry.gateway_ms
        _note(self.duration, entry.duration_ms)
        if entry.first_token_ms is not None:
            _note(self.first_token, entry.first_token_ms)

    def merge(self, other: Traffic) -> None:
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTERS:
            counted = getattr(self, name)
            for key, number in getattr(other, name).items():
                counted[key] = counted.get(key, 0) + number

    @property
    def given(self) -> int:
        """Requests that the cache answered."""
        return sum(self.verdicts.get(each, 0) for each in GIVEN)

    @property
    def hit_ratio(self) -> float | None:
        """Of the requests that asked the cache, the share it answered."""
        asked = self.given + self.verdicts.get(Verdict.MISS, 0)
        return self.given / asked if asked else None


_COUNTERS = ("verdicts", "duration", "first_token")
_SUMS = tuple(name for name in Traffic.__struct_fields__ if name not in _COUNTERS)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Traffic)


def encode(traffic: Traffic) -> str:
    return _encoder.encode(traffic).decode()


def decode(text: str) -> Traffic:
    return _decoder.decode(text)


def total(traffics: Iterable[Traffic]) -> Traffic:
    whole = Traffic()
    for each in traffics:
        whole.merge(each)
    return whole


def by_bucket(entries: Iterable[IndexEntry], before: Mapping[str, str]) -> dict[Key, Traffic]:
    """Every bucket that these entries belong to, with what they add to it. What has not ended counts later.

    Of what had ended, by `before` (id → status), it counts only that it failed after all.
    """
    ended = dict(before)
    smallest = min(SPANS)
    # Those of a batch are much alike: each is added once, and the sums to all they belong to.
    alike: dict[tuple[int, str, str, str], Traffic] = {}
    for entry in entries:
        if entry.op == "put" and entry.status in ENDED:
            key = (_start(entry.created_at, smallest), entry.project, entry.model, entry.backend)
            if key not in alike:
                alike[key] = Traffic()
            last, ended[entry.id] = ended.get(entry.id), entry.status
            if last is None:
                alike[key].add(entry)
            elif entry.status == "failed" != last:
                alike[key].failed += 1
    found: dict[Key, Traffic] = {}
    for (start, *names), traffic in alike.items():
        for dimension, name in zip(DIMENSIONS, ("", *names), strict=True):
            if not name and dimension != ALL:
                continue
            for seconds in SPANS:
                found.setdefault((seconds, start - start % seconds, dimension, name), Traffic()).merge(traffic)
    return found


def quantile(histogram: Histogram, share: float) -> float | None:
    """Milliseconds that this share of what was counted does not exceed; None where nothing was."""
    left = share * sum(histogram.values())
    for place in sorted(histogram):
        left -= histogram[place]
        if left <= 0:
            return float(2 ** ((place + 0.5) / _STEPS_PER_DOUBLING))
    return None


def _note(histogram: Histogram, milliseconds: float) -> None:
    place = floor(log2(max(milliseconds, 0.01)) * _STEPS_PER_DOUBLING)
    histogram[place] = histogram.get(place, 0) + 1


def _start(at: float, seconds: int) -> int:
    try:
        datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError, OSError):  # its row is refused as well; where it counts does not matter
        return 0
    return int(at) - int(at) % seconds

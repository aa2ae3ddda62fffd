"""Which endpoint serves this request, and which come next. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, log
from zlib import crc32

from responses_api.backends.registry import Endpoint


def choose(endpoints: Sequence[Endpoint], draw: float) -> Endpoint:
    """One of `endpoints` by weight; `draw` is uniform in [0, 1). Weight 0 serves only where nothing else is left."""
    if len(endpoints) == 1:
        return endpoints[0]
    total = sum(endpoint.weight for endpoint in endpoints)
    if total == 0:
        return endpoints[int(draw * len(endpoints))]
    mark = draw * total
    for endpoint in endpoints:
        mark -= endpoint.weight
        if mark < 0:
            return endpoint
    return endpoints[-1]


def least_busy(endpoints: Sequence[Endpoint], in_flight: Mapping[str, int], draw: float) -> Endpoint:
    """The one with the fewest calls in progress for its weight; of several, any. Weight 0 as for `choose`."""
    weighted = [each for each in endpoints if each.weight] or list(endpoints)
    loads = [in_flight.get(each.name, 0) / (each.weight or 1) for each in weighted]
    least = min(loads)
    free = [each for each, load in zip(weighted, loads, strict=True) if load == least]
    return free[int(draw * len(free))]


def sticky(endpoints: Sequence[Endpoint], anchor: str) -> Endpoint:
    """The same of `endpoints` for the same `anchor`, whoever asks; where one goes away only its own anchors move.

    Rendezvous hashing, by weight.
    """
    return max(endpoints, key=lambda each: _score(each, anchor))


def _score(endpoint: Endpoint, anchor: str) -> float:
    drawn = (crc32(f"{anchor}\0{endpoint.name}".encode()) + 1) / 2**32
    return endpoint.weight / -log(drawn) if drawn < 1 else inf

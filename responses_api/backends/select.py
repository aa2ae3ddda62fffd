"""Which endpoint serves this request. Pure."""

from __future__ import annotations

from collections.abc import Sequence

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

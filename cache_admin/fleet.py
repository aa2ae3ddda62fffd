"""The backends as all processes together see them: configured or listed, asked or spared, how busy, how fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

from cache_admin import charts, sources
from responses_api.backends.health import Probe, probes_key
from responses_api.backends.registry import Endpoint, Registry
from responses_api.breaker import BreakerState
from responses_api.listed_backends import configured_names, listed
from responses_api.models import BackendEndpoint
from responses_api.pulse import Report
from responses_api.traffic import Traffic, quantile

_probe_decoder = msgspec.json.Decoder(Probe)


@dataclass(slots=True)
class Backend:
    """`state`: well, trial, spared, drained; `reasons` why it is spared, by those who spare it."""

    endpoint: Endpoint
    is_configured: bool
    row_id: int | None
    is_drained: bool
    state: str = "well"
    in_flight: int = 0
    reasons: list[str] = field(default_factory=list)
    spared_by: int = 0
    traffic: Traffic = field(default_factory=Traffic)
    probe: Probe | None = None

    @property
    def name(self) -> str:
        return self.endpoint.name

    @property
    def address(self) -> str:
        """Its base URL, without the password that may be in it."""
        parts = urlsplit(self.endpoint.base_url)
        if "@" not in parts.netloc:
            return self.endpoint.base_url
        return f"{parts.scheme}://***@{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def failed_share(self) -> float | None:
        return self.traffic.failed / self.traffic.requests if self.traffic.requests else None

    @property
    def p95(self) -> float | None:
        return quantile(self.traffic.duration, 0.95)

    @property
    def first_token_p95(self) -> float | None:
        return quantile(self.traffic.first_token, 0.95)


def registry() -> Registry:
    """The backends as a process that starts now would know them."""
    return _registry_with(BackendEndpoint.objects.all())


def backends(reports: Sequence[Report]) -> list[Backend]:
    """By name. Their traffic is the last hour's."""
    listed_here = {row.name: row for row in BackendEndpoint.objects.all()}
    known, configured = _registry_with(listed_here.values()), configured_names(sources.config())
    traffic, probes = charts.by_name(charts.RANGES["1h"], "backend"), _probes()
    found = []
    for endpoint in sorted(known.endpoints, key=lambda each: each.name):
        name = endpoint.name
        row = listed_here.get(name)
        backend = Backend(endpoint, name in configured, row.pk if row else None, known.is_drained(name))
        backend.traffic = traffic.get(name, Traffic())
        backend.probe = probes.get(name)
        _note_standings(backend, reports)
        found.append(backend)
    return found


def _registry_with(rows: Iterable[BackendEndpoint]) -> Registry:
    made = Registry(sources.config())
    made.apply(listed(rows))
    return made


def _note_standings(backend: Backend, reports: Sequence[Report]) -> None:
    states = set()
    for report in reports:
        standing = report.endpoints.get(backend.name)
        if standing is None:
            continue
        backend.in_flight += standing.in_flight
        states.add(standing.state)
        if standing.state != BreakerState.CLOSED.value:
            backend.spared_by += 1
            if standing.reason and standing.reason not in backend.reasons:
                backend.reasons.append(standing.reason)
    if backend.is_drained:
        backend.state = "drained"
    elif BreakerState.OPEN.value in states:
        backend.state = "spared"
    elif BreakerState.HALF_OPEN.value in states:
        backend.state = "trial"


def _probes() -> dict[str, Probe]:
    if not sources.has_redis():
        return {}
    found = sources.redis().hgetall(probes_key(sources.prefix()))
    return {name.decode(): _probe_decoder.decode(value) for name, value in found.items()}

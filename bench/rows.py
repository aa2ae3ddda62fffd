"""The rows of the table. One more is one more entry in `ROWS`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import httpx
import msgspec

from bench import background, load, servers, streams, turns
from bench.index_writes import ENTRIES
from bench.load import DISTINCT, LoadError, percentile, request_bytes
from bench.servers import Server, has_postgres
from bench.stage import STREAM_SECONDS, TOKENS_PER_SECOND, Cost, Stage

CHAIN_TURNS = 20
OPEN_STREAMS = 1000
BACKGROUND_RUNS = 1000
CONSOLE_TURNS = 2
CONSOLE_SECONDS = 15
"""A short load test, during which every page is opened once."""
_WARM_UP_SECONDS = 1.0
_SETTLE_SECONDS = 3.0
_FEW = 0.01


@dataclass(slots=True)
class Figures:
    """What one row measured. `units` are requests or tokens; NaN and None: the row has no such thing."""

    title: str
    units: int = 0
    cost: Cost = field(default_factory=Cost)
    p50_ms: float = float("nan")
    """Of a request's latency, or of the gap between two tokens."""
    p99_ms: float = float("nan")
    rss_mib: float = float("nan")
    first_token_p50_ms: float | None = None
    first_token_p99_ms: float | None = None
    undisturbed: float = float("nan")
    """Units per second without what the row adds."""

    @property
    def per_second(self) -> float:
        return self.units / self.cost.seconds if self.units else float("nan")

    @property
    def cpu_us(self) -> float:
        """The server's CPU for one unit, in microseconds."""
        return self.cost.server / self.units * 1e6 if self.units else float("nan")

    @property
    def busy(self) -> float:
        """The share of its core that the server used, 0 to 1 (more where other threads found a core)."""
        return self.cost.server / self.cost.seconds if self.units else float("nan")


class Row(Protocol):
    """A line of the table: `name` on the command line, `measure` may take `seconds` and what it takes to prepare."""

    @property
    def name(self) -> str: ...

    def measure(self, stage: Stage, seconds: float) -> Figures: ...


@dataclass(frozen=True, slots=True)
class Requests:
    """64 clients that send one request again and again."""

    name: str
    title: str
    server: Callable[[Stage], Server]
    request: Callable[[Stage], bytes]
    load_sleeps: bool = False
    expected: bytes = b""
    """In the head of all but a few answers."""

    def measure(self, stage: Stage, seconds: float) -> Figures:
        server, request = self.server(stage), self.request(stage)
        with load.clients(server.port, request, sleeps=self.load_sleeps, expected=self.expected) as clients:
            clients.run(_WARM_UP_SECONDS)
            with stage.cost_of(server) as cost:
                seen = clients.run(seconds)
        if seen.odd > _FEW * seen.requests:
            raise LoadError(
                f"{seen.odd} of {seen.requests} answers to '{self.name}' are not '{self.expected.decode()}'"
            )
        p50_ms, p99_ms = (percentile(seen.latencies_ms, share) for share in (0.5, 0.99))
        return Figures(self.title, seen.requests, cost, p50_ms, p99_ms, server.rss_mib())


@dataclass(frozen=True, slots=True)
class ConsoleOpened:
    """The load of `stored` in turns without and with an operator who opens every page of the console; the latter's
    figures. `undisturbed` requests per second are the former's."""

    name: str

    def measure(self, stage: Stage, seconds: float) -> Figures:
        server, figures = stage.gateway, Figures("the same, console opened")
        servers.make_operator(stage.site)
        undisturbed = 0
        with load.clients(server.port, create("answers")) as clients:
            clients.run(_WARM_UP_SECONDS)
            for _ in range(CONSOLE_TURNS):
                with servers.operator(server, CONSOLE_SECONDS, stage.rest_cores) as open_pages:
                    undisturbed += clients.run(CONSOLE_SECONDS).requests
                    open_pages()
                    with stage.cost_of(server) as cost:
                        seen = clients.run(CONSOLE_SECONDS)
                figures.units += seen.requests
                figures.cost.add(cost)
        figures.undisturbed = undisturbed / (CONSOLE_TURNS * CONSOLE_SECONDS)
        return figures


@dataclass(frozen=True, slots=True)
class ConcurrentStreams:
    """`number` streams of five seconds at 50 tokens/s, begun within one second."""

    name: str
    number: int

    def measure(self, stage: Stage, seconds: float) -> Figures:
        server, request = stage.gateway, create("stream", stream=True)
        with stage.cost_of(server) as cost:
            seen = streams.run(server.port, request, self.number, deadline_seconds=4 * STREAM_SECONDS)
        return Figures(
            f"{self.number} streams at {TOKENS_PER_SECOND} tokens/s",
            seen.tokens,
            cost,
            percentile(seen.gaps_ms, 0.5),
            percentile(seen.gaps_ms, 0.99),
            server.rss_mib(),
            percentile(seen.first_ms, 0.5),
            percentile(seen.first_ms, 0.99),
        )


@dataclass(frozen=True, slots=True)
class Turns:
    """`turns.CONNECTIONS` clients that have one streamed turn after the other, by HTTP or over a WebSocket."""

    name: str
    title: str
    over_websocket: bool

    def measure(self, stage: Stage, seconds: float) -> Figures:
        server = stage.gateway
        body = {"model": "turns", "input": "What do you think of this?", "store": False}
        with stage.cost_of(server) as cost:
            seen = turns.run(server.port, body, seconds, over_websocket=self.over_websocket)
        p50_ms, p99_ms = (percentile(seen.latencies_ms, share) for share in (0.5, 0.99))
        return Figures(self.title, seen.requests, cost, p50_ms, p99_ms, server.rss_mib())


@dataclass(frozen=True, slots=True)
class Resume:
    """One client that asks again and again for the last ten events of a finished stream, over one connection."""

    name: str

    def measure(self, stage: Stage, seconds: float) -> Figures:
        server = stage.gateway
        path, last = turns.finished_stream(server.port, stage.worker)
        request = request_bytes("GET", f"{path}?stream=true&starting_after={last - 10}")
        with stage.cost_of(server) as cost:
            seen = turns.repeat_stream(server.port, request, seconds)
        p50_ms, p99_ms = (percentile(seen.latencies_ms, share) for share in (0.5, 0.99))
        return Figures("resume a stream", seen.requests, cost, p50_ms, p99_ms, server.rss_mib())


@dataclass(frozen=True, slots=True)
class Replay:
    """One client that asks again and again for a stream of 500 tokens that was recorded."""

    name: str

    def measure(self, stage: Stage, seconds: float) -> Figures:
        server = stage.gateway
        request = create("long", CACHED, stream=True, store=False)
        with stage.cost_of(server) as cost:
            seen = turns.repeat_stream(server.port, request, seconds)
        p50_ms, p99_ms = (percentile(seen.latencies_ms, share) for share in (0.5, 0.99))
        return Figures("replay 500 tokens", seen.requests, cost, p50_ms, p99_ms, server.rss_mib())


@dataclass(frozen=True, slots=True)
class BackgroundRuns:
    """`BACKGROUND_RUNS` submitted at once; the cost is the worker's, which shares its core with the gateway."""

    name: str

    def measure(self, stage: Stage, seconds: float) -> Figures:
        worker, gateway = stage.worker, stage.gateway
        background.run(gateway.port, "turns", 20)  # the first task imports what the others use
        with stage.cost_of(worker) as cost:
            background.run(gateway.port, "turns", BACKGROUND_RUNS)
        return Figures(f"{BACKGROUND_RUNS:,} background runs", BACKGROUND_RUNS, cost, rss_mib=worker.rss_mib())


@dataclass(frozen=True, slots=True)
class IndexWrites:
    """The worker's batches of index rows; the cost is that of the process which writes them."""

    name: str
    title: str
    on_postgres: bool = False

    def measure(self, stage: Stage, seconds: float) -> Figures:
        if self.on_postgres and not has_postgres():
            return Figures(f"{self.title}: not installed")
        seen = servers.index_writes(stage.fresh_folder(), stage.server_cores, on_postgres=self.on_postgres)
        return Figures(self.title, ENTRIES, Cost(seen["seconds"], seen["cpu"]))


@dataclass(frozen=True, slots=True)
class IdleMemory:
    """A gateway that has answered its first request, and no more."""

    name: str

    def measure(self, stage: Stage, seconds: float) -> Figures:
        with stage.fresh_gateway() as server:
            stored_chain(server.port, 1)
            return Figures("memory, idle", rss_mib=server.rss_mib())


@dataclass(frozen=True, slots=True)
class OpenStreamsMemory:
    """The same with `OPEN_STREAMS` slow streams under way."""

    name: str

    def measure(self, stage: Stage, seconds: float) -> Figures:
        with stage.fresh_gateway() as server:
            opened = streams.open_streams(server.port, create("slow", stream=True), OPEN_STREAMS)
            time.sleep(_SETTLE_SECONDS)
            figures = Figures(f"memory, {OPEN_STREAMS:,} open streams", rss_mib=server.rss_mib())
            for each in opened:
                each.close()
        return figures


def create(model: str, headers: str = "", **fields: object) -> bytes:
    body = msgspec.json.encode({"model": model, "input": "What do you think of this?", **fields})
    return request_bytes("POST", "/v1/responses", body, headers)


CACHED = "x-cache-key: bench\r\n"
HIT = b"x-cache: HIT"
ANOTHER = f"What do you think of {DISTINCT.decode()}?"


def stored_chain(port: int, turns: int) -> str:
    """The id of the last of `turns` stored turns."""
    fields: dict[str, str] = {"model": "answers"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", trust_env=False) as client:
        for turn in range(turns):
            answer = client.post("/responses", json={**fields, "input": f"Turn {turn}."}).raise_for_status()
            fields["previous_response_id"] = answer.json()["id"]
    return fields["previous_response_id"]


def _hello(_: Stage) -> bytes:
    return request_bytes("GET", "/")


def _get(stage: Stage) -> bytes:
    return request_bytes("GET", f"/v1/responses/{stored_chain(stage.gateway.port, 1)}")


def _follow_up(stage: Stage) -> bytes:
    return create("answers", previous_response_id=stored_chain(stage.gateway.port, CHAIN_TURNS))


def _gateway(stage: Stage) -> Server:
    return stage.gateway


def _cluster_gateway(stage: Stage) -> Server:
    return stage.cluster_gateway


ROWS: tuple[Row, ...] = (
    Requests("hello", "bare ASGI hello", lambda stage: stage.hello, _hello),
    Requests("hello-redis", "hello + one Redis GET", lambda stage: stage.hello_redis, _hello),
    Requests("get", "GET /v1/responses/{id}", _gateway, _get),
    Requests("stored", "proxied, store: true", _gateway, lambda _: create("answers")),
    Requests("stored-spread", "the same, three endpoints", _gateway, lambda _: create("spread")),
    Requests(
        "stored-cluster", "the same, Redis Cluster", lambda stage: stage.cluster_gateway, lambda _: create("answers")
    ),
    ConsoleOpened("console"),
    Requests("unstored", "proxied, store: false", _gateway, lambda _: create("answers", store=False)),
    Requests("hit-stored", "cache hit, store: true", _gateway, lambda _: create("answers", CACHED), expected=HIT),
    Requests(
        "hit-unstored",
        "cache hit, store: false",
        _gateway,
        lambda _: create("answers", CACHED, store=False),
        expected=HIT,
    ),
    Requests(
        "uncached", "distinct prompts, no cache", _gateway, lambda _: create("answers", input=ANOTHER, store=False)
    ),
    Requests(
        "miss",
        "distinct prompts, misses",
        _gateway,
        lambda _: create("answers", CACHED, input=ANOTHER, store=False),
        expected=b"x-cache: MISS",
    ),
    Replay("replay"),
    Requests("follow-up", f"turn {CHAIN_TURNS + 1} of a chain", _gateway, _follow_up, load_sleeps=True),
    ConcurrentStreams("streams-170", 170),
    ConcurrentStreams("streams-300", 300),
    Turns("turns-http", "streamed turn, HTTP", over_websocket=False),
    Turns("turns-websocket", "streamed turn, WebSocket", over_websocket=True),
    Resume("resume"),
    BackgroundRuns("background"),
    IndexWrites("index-sqlite", "index rows into SQLite"),
    IndexWrites("index-postgres", "index rows into PostgreSQL", on_postgres=True),
    IdleMemory("memory-idle"),
    OpenStreamsMemory("memory-streams"),
)

"""`make bench`: what a request costs, as shares of the least an ASGI application can do under the same server.

Server on one core, load, backend and Valkey on the other. A share is a ratio of CPU per request, which is one of
throughput per core: it holds also where the load, not the server, was at its limit. Bounded: under three minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import msgspec

from bench import load, servers, streams
from bench.servers import Server

ANSWER_BYTES = 1500
TOKENS_PER_SECOND = 50
STREAM_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `cpu_us` is the server's CPU per request, in microseconds."""

    name: str
    per_second: float
    busy: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    rss_mib: float


def measure(name: str, server: Server, request: bytes, seconds: float) -> Row:
    load.run(server.port, request, min(1.0, seconds / 3))
    cpu = server.cpu_seconds()
    seen = load.run(server.port, request, seconds)
    cpu = server.cpu_seconds() - cpu
    return Row(
        name,
        seen.requests / seen.seconds,
        cpu / seen.seconds,
        cpu / seen.requests * 1e6,
        seen.percentile(0.5),
        seen.percentile(0.99),
        server.rss_mib(),
    )


def create(**fields: object) -> bytes:
    body = msgspec.json.encode({"model": "demo", "input": "What do you think of this?", **fields})
    return load.request_bytes("POST", "/v1/responses", body)


def build_chain(gateway: Server, turns: int) -> str:
    """The id of the last of `turns` stored turns."""
    previous: dict[str, str] = {}
    with httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}/v1") as client:
        for turn in range(turns):
            answer = client.post("/responses", json={"model": "demo", "input": f"Turn {turn}.", **previous})
            previous = {"previous_response_id": answer.json()["id"]}
    return previous["previous_response_id"]


def request_rows(folder: Path, seconds: float) -> list[Row]:
    server_cores, other_cores = servers.cores()
    redis = servers.valkey(folder, other_cores)
    backend = servers.backend(folder, other_cores, "--answer-bytes", str(ANSWER_BYTES))
    environ = {"BENCH_REDIS_PORT": str(redis.port)}
    hello = servers.uvicorn("bench.hello:hello", "hello", folder, server_cores, environ)
    hello_redis = servers.uvicorn("bench.hello:hello_redis", "hello-redis", folder, server_cores, environ)
    gateway = servers.gateway(folder, server_cores, redis, backend)
    idle = gateway.rss_mib()
    stored = build_chain(gateway, 1)
    twentieth = build_chain(gateway, 20)
    plain = load.request_bytes("GET", "/")
    plan: list[tuple[str, Server, bytes]] = [
        ("bare ASGI hello", hello, plain),
        ("hello + one Redis GET", hello_redis, plain),
        ("GET /v1/responses/{id}", gateway, load.request_bytes("GET", f"/v1/responses/{stored}")),
        ("proxied, store: true", gateway, create()),
        ("proxied, store: false", gateway, create(store=False)),
        ("21st turn of a chain", gateway, create(previous_response_id=twentieth)),
    ]
    rows = [measure(name, server, request, seconds) for name, server, request in plan]
    for server in (gateway, hello, hello_redis, backend, redis):
        server.stop()
    return [*rows, Row("memory, idle", 0, 0, 0, 0, 0, idle)]


def stream_row(folder: Path, number: int) -> tuple[Row, streams.Streams]:
    server_cores, other_cores = servers.cores()
    redis = servers.valkey(folder, other_cores)
    tokens = str(TOKENS_PER_SECOND * STREAM_SECONDS)
    backend = servers.backend(folder, other_cores, "--tokens", tokens, "--tokens-per-second", str(TOKENS_PER_SECOND))
    gateway = servers.gateway(folder, server_cores, redis, backend)
    streams.run(gateway.port, create(stream=True), 5, 3 * STREAM_SECONDS, spread_seconds=0.1)
    cpu = gateway.cpu_seconds()
    seen = streams.run(gateway.port, create(stream=True), number, 3 * STREAM_SECONDS)
    cpu = gateway.cpu_seconds() - cpu
    row = Row(
        f"{number} streams at {TOKENS_PER_SECOND} tokens/s",
        seen.tokens / seen.seconds,
        cpu / seen.seconds,
        cpu / max(1, seen.tokens) * 1e6,
        streams.percentile(seen.gaps_ms, 0.5),
        streams.percentile(seen.gaps_ms, 0.99),
        gateway.rss_mib(),
    )
    for server in (gateway, backend, redis):
        server.stop()
    return row, seen


def open_streams_row(folder: Path, number: int) -> Row:
    server_cores, other_cores = servers.cores()
    redis = servers.valkey(folder, other_cores)
    backend = servers.backend(folder, other_cores, "--tokens", "1000", "--tokens-per-second", "0.5")
    gateway = servers.gateway(folder, server_cores, redis, backend)
    opened = streams.open_streams(gateway.port, create(stream=True), number)
    row = Row(f"memory, {number} open streams", 0, 0, 0, 0, 0, gateway.rss_mib())
    for each in opened:
        each.close()
    for server in (gateway, backend, redis):
        server.stop()
    return row


def print_table(rows: list[Row], hello: Row) -> None:
    print(f"{'':34}{'per s':>9}{'core':>7}{'CPU µs':>9}{'share':>8}{'p50 ms':>8}{'p99 ms':>8}{'RSS MiB':>9}")
    for row in rows:
        share = f"{hello.cpu_us / row.cpu_us:.1%}" if row.cpu_us and "streams" not in row.name else ""
        figures = (
            f"{row.per_second:9,.0f}{row.busy:7.0%}{row.cpu_us:9.1f}{share:>8}{row.p50_ms:8.2f}{row.p99_ms:8.2f}"
            if row.cpu_us
            else " " * 49
        )
        print(f"{row.name:34}{figures}{row.rss_mib:9.0f}")


def print_floors(rows: list[Row]) -> bool:
    """Each promise with its figure; True when all are kept."""
    by_name = {row.name: row for row in rows}
    hello = by_name["bare ASGI hello"].cpu_us
    first, streamed = by_name["proxied, store: true"], by_name["170 streams at 50 tokens/s"]
    checks: list[tuple[str, float, Callable[[float], bool]]] = [
        ("proxied store:true, share of hello >= 8 %", 100 * hello / first.cpu_us, lambda got: got >= 8),
        (
            "GET by id, share of hello >= 20 %",
            100 * hello / by_name["GET /v1/responses/{id}"].cpu_us,
            lambda got: got >= 20,
        ),
        (
            "21st turn, times a first turn's CPU <= 2.5",
            by_name["21st turn of a chain"].cpu_us / first.cpu_us,
            lambda got: got <= 2.5,
        ),
        ("170 streams, p99 gap in ms <= 40", streamed.p99_ms, lambda got: got <= 40),
        ("170 streams, CPU µs per token <= 90", streamed.cpu_us, lambda got: got <= 90),
        ("idle, RSS in MiB <= 150", by_name["memory, idle"].rss_mib, lambda got: got <= 150),
        ("1,000 open streams, RSS in MiB <= 300", by_name["memory, 1000 open streams"].rss_mib, lambda got: got <= 300),
    ]
    for name, got, is_met in checks:
        print(f"  {'met    ' if is_met(got) else 'NOT MET'}  {name}: {got:.1f}")
    return all(is_met(got) for _, got, is_met in checks)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="for each row of requests (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a floor is not met")
    options = parser.parse_args()
    server_cores, other_cores = servers.cores()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, other_cores)
    print(f"server on core {sorted(server_cores)}, load, backend and Valkey on {sorted(other_cores)}; 64 connections")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        rows = request_rows(folder, options.seconds)
        for number in (170, 300):
            row, seen = stream_row(folder, number)
            rows.append(row)
            print(f"{number} streams: first token p99 {streams.percentile(seen.first_ms, 0.99):.0f} ms, "
                  f"{seen.unfinished} unfinished")  # fmt: skip
        rows.append(open_streams_row(folder, 1000))
    print()
    print_table(rows, rows[0])
    print()
    is_kept = print_floors(rows)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    raise SystemExit(1 if options.strict and not is_kept else 0)


if __name__ == "__main__":
    main()

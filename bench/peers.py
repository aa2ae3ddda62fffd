"""`python -m bench.peers`: the same requests through other gateways, on the same core, before the same backend.

Each peer is installed on demand into an environment of its own under `var/peers`, as its documentation says, with one
process and nothing switched on that it does not need. Ours stores every response; what a peer does is in its row.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import cores, load
from bench.load import CONNECTIONS, LoadError, percentile
from bench.rows import Figures
from bench.servers import ROOT, Server, free_port
from bench.stage import Stage

HOME = ROOT / "var" / "peers"
PATIENCE_SECONDS = 60
"""The slowest peer answers some of 64 connections only after ten."""
READY_SECONDS = 120
_WARM_UP_SECONDS = 3.0
_HEADINGS = ("per s", "CPU µs", "p50 ms", "p99 ms", "x per s", "x CPU")
"""The last two: how many times as many ours answers, and how many times the CPU a peer takes for one."""
_QUESTION = "What do you think of this?"
BODIES: Mapping[str, Mapping[str, object]] = {
    "/v1/responses": {"input": _QUESTION},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": _QUESTION}]},
}


class Tree(Server):
    """A server that may do its work in child processes."""

    def cpu_seconds(self) -> float:
        return sum(_cpu_ticks(pid) for pid in _descendants(self._process.pid)) / 100


@dataclass(frozen=True, slots=True)
class Peer:
    """`command` and `environ` are of (folder, its port, the backend's port)."""

    name: str
    does: str
    """With a request, for the table."""
    model: str
    install: Sequence[Sequence[str]]
    command: Callable[[Path, int, int], Sequence[str]]
    environ: Mapping[str, str] = field(default_factory=dict)
    headers: Callable[[int], Mapping[str, str]] = lambda _: {}

    @property
    def home(self) -> Path:
        return HOME / self.name


def _python(name: str, interpreter: str, *packages: str) -> Sequence[Sequence[str]]:
    home = str(HOME / name)
    uv = str(Path(sys.executable).parent / "uv")
    return (
        (uv, "venv", "--quiet", "--clear", "--python", interpreter, home),
        (uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", home, *packages),
    )


def _litellm(folder: Path, port: int, backend: int) -> Sequence[str]:
    config = folder / "litellm.yaml"
    parameters = f"{{model: openai/answers, api_base: 'http://127.0.0.1:{backend}/v1', api_key: none}}"
    config.write_text(f"model_list:\n  - {{model_name: answers, litellm_params: {parameters}}}\n")
    options = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    return [str(HOME / "litellm/bin/litellm"), "--config", str(config), *options]


def _portkey(_: Path, port: int, __: int) -> Sequence[str]:
    return [
        "node",
        str(HOME / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"),
        f"--port={port}",
        "--headless",
    ]


_LLAMA_STACK = """
version: 2
distro_name: bench
apis: [inference, responses, files, file_processors, vector_io, tool_runtime]
providers:
  inference:
    - provider_id: vllm
      provider_type: remote::vllm
      config: {{base_url: 'http://127.0.0.1:{backend}/v1', api_token: none}}
  files:
    - provider_id: files
      provider_type: inline::localfs
      config: {{storage_dir: '{folder}/files', metadata_store: {{table_name: files, backend: sql_default}}}}
  file_processors: [{{provider_id: pypdf, provider_type: 'inline::pypdf'}}]
  vector_io:
    - provider_id: vectors
      provider_type: inline::sqlite-vec
      config: {{db_path: '{folder}/vectors.db', persistence: {{namespace: vectors, backend: kv_default}}}}
  tool_runtime: [{{provider_id: mcp, provider_type: 'remote::model-context-protocol', config: {{}}}}]
  responses:
    - provider_id: builtin
      provider_type: inline::builtin
      config:
        persistence:
          agent_state: {{backend: kv_default, namespace: agents}}
          responses: {{backend: sql_default, table_name: responses}}
storage:
  backends:
    kv_default: {{type: kv_sqlite, db_path: '{folder}/kv.db'}}
    sql_default: {{type: sql_sqlite, db_path: '{folder}/sql.db'}}
  stores:
    metadata: {{namespace: registry, backend: kv_default}}
    inference: {{table_name: inference, backend: sql_default, max_write_queue_size: 10000, num_writers: 4}}
    conversations: {{table_name: conversations, backend: sql_default}}
    prompts: {{namespace: prompts, backend: kv_default}}
registered_resources:
  models: [{{model_id: answers, provider_id: vllm, provider_model_id: answers, model_type: llm}}]
server: {{port: {port}}}
"""


def _llama_stack(folder: Path, port: int, backend: int) -> Sequence[str]:
    config = folder / "llama-stack.yaml"
    config.write_text(_LLAMA_STACK.format(folder=folder, port=port, backend=backend))
    return [str(HOME / "llama-stack/bin/llama"), "stack", "run", str(config), "--port", str(port)]


_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
_TOKENIZERS = HOME / "litellm/lib" / _VERSION / "site-packages/litellm/litellm_core_utils/tokenizers"
PEERS = (
    Peer(
        "litellm",
        "stores nothing",
        "answers",
        _python("litellm", sys.executable, "litellm[proxy]==1.106.2"),
        _litellm,
        {"LITELLM_MASTER_KEY": "sk-bench", "LITELLM_LOG": "ERROR"},
        lambda _: {"authorization": "Bearer sk-bench"},
    ),
    Peer(
        "llama-stack",
        "stores in SQLite",
        "vllm/answers",
        _python(
            "llama-stack",
            "3.12",  # at least
            *("llama-stack==0.7.3", "mcp<2", "sqlite-vec", "aiosqlite", "asyncpg"),
            *("sqlalchemy[asyncio]", "pypdf", "chardet"),
        ),
        _llama_stack,
        # It wants a file from the internet at its start, which LiteLLM's package has as well.
        {"TIKTOKEN_CACHE_DIR": str(_TOKENIZERS)},
    ),
    Peer(
        "portkey",
        "passes the request on",
        "answers",
        (("npm", "install", "--silent", "--prefix", str(HOME / "portkey"), "@portkey-ai/gateway@1.15.2"),),
        _portkey,
        {},
        lambda backend: {
            "authorization": "Bearer none",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{backend}/v1",
        },
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=12.0, help="for each row (default: 12)")
    options = parser.parse_args()
    for peer in PEERS:
        _install(peer)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Stage(Path(name)) as stage:
        print(f"{cores.describe(stage.server_cores, stage.rest_cores)} {CONNECTIONS} connections.\n")
        hello = _measure(stage, stage.hello, "bare ASGI hello", load.request_bytes("GET", "/"), options.seconds)
        for path, body in BODIES.items():
            print(f"\nPOST {path}\n{'':36}" + "".join(f"{heading:>10}" for heading in _HEADINGS))
            _print(hello, None)
            ours = _measure_ours(stage, path, body, options.seconds)
            _print(ours, None)
            if path == "/v1/responses":
                _print(_measure_ours(stage, path, {**body, "store": False}, options.seconds), None)
            for peer in PEERS:
                _print(_measure_peer(stage, peer, path, body, options.seconds), ours)
    return 0


def _install(peer: Peer) -> None:
    done = peer.home / ".installed"
    if not done.exists():
        print(f"Installing {peer.name} …", flush=True)
        for command in peer.install:
            subprocess.run(command, check=True)
        done.touch()


def _measure_ours(stage: Stage, path: str, body: Mapping[str, object], seconds: float) -> Figures:
    does = "stores in Redis" if path == "/v1/responses" and body.get("store", True) else "stores nothing"
    request = load.request_bytes("POST", path, json.dumps({"model": "answers", **body}).encode())
    return _measure(stage, stage.gateway, f"responses-router ({does})", request, seconds)


def _measure_peer(stage: Stage, peer: Peer, path: str, body: Mapping[str, object], seconds: float) -> Figures:
    folder, port, backend = stage.fresh_folder(), free_port(), stage.backends["answers"].port
    headers, sent = peer.headers(backend), json.dumps({"model": peer.model, **body}).encode()
    with Tree(
        peer.command(folder, port, backend), port, folder / "log", stage.server_cores, peer.environ, READY_SECONDS
    ) as server:
        _wait_until_ready(f"http://127.0.0.1:{port}{path}", sent, headers, folder / "log")
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = load.request_bytes("POST", path, sent, lines)
        return _measure(stage, server, f"{peer.name} ({peer.does})", request, seconds)


def _measure(stage: Stage, server: Server, title: str, request: bytes, seconds: float) -> Figures:
    with load.clients(server.port, request, patience=PATIENCE_SECONDS) as clients:
        clients.run(_WARM_UP_SECONDS)
        with stage.cost_of(server) as cost:
            seen = clients.run(seconds)
    p50_ms, p99_ms = (percentile(seen.latencies_ms, share) for share in (0.5, 0.99))
    return Figures(title, seen.requests, cost, p50_ms, p99_ms)


def _print(row: Figures, ours: Figures | None) -> None:
    cells = ["no answer"]
    if row.units:
        cells = [f"{row.per_second:,.0f}", f"{row.cpu_us:,.0f}", f"{row.p50_ms:,.1f}", f"{row.p99_ms:,.1f}"]
    if ours is not None and row.units:
        cells += [f"{ours.per_second / row.per_second:,.1f}", f"{row.cpu_us / ours.cpu_us:,.1f}"]
    print(f"{row.title:36}" + "".join(f"{cell:>10}" for cell in cells), flush=True)


def _wait_until_ready(url: str, body: bytes, headers: Mapping[str, str], log: Path) -> None:
    """Until it answers a request with 200. Raises `LoadError`."""
    deadline = time.monotonic() + READY_SECONDS
    request = urllib.request.Request(url, body, {"content-type": "application/json", **headers})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise LoadError(f"{url}: {error}; its log ends {log.read_text()[-2000:]}") from None
        time.sleep(0.5)


def _descendants(pid: int) -> Sequence[int]:
    found = [pid]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return found


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    sys.exit(main())

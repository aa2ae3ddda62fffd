"""A Redis Cluster on loopback for development: three masters, each with a replica, no Docker, no redis-cli.

Its nodes outlive the command that started them; `nodes.json` in its directory says which processes they are.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS
from redis.exceptions import RedisError

FIRST_PORT = 7001
NODES = 6
MASTERS = 3
NODE_TIMEOUT_MS = 2000
_PATIENCE_SECONDS = 30
_TURN_SECONDS = 0.05
_BUS_OFFSET = 10_000


def free_ports() -> list[int]:
    """Six ports on loopback that are free, with those of the nodes' bus 10,000 above them."""
    found: list[int] = []
    port = random.randrange(20_000, 50_000)  # noqa: S311
    while len(found) < NODES:
        port += 1
        with suppress(OSError):
            for each in (port, port + _BUS_OFFSET):
                socket.create_server(("127.0.0.1", each)).close()
            found.append(port)
    return found


class ClusterError(Exception):
    """Something an operator can mend; the message says how."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """`role` is `master`, `replica` or `down`; `slots` a master's, `keys` those it holds."""

    port: int
    pid: int
    role: str
    slots: int = 0
    keys: int = 0
    master_port: int | None = None


class DevCluster:
    """The cluster in `directory`, whether or not it runs. `ports` are those of a new one."""

    def __init__(self, directory: Path, ports: Sequence[int] = range(FIRST_PORT, FIRST_PORT + NODES)) -> None:
        self._directory = directory
        self._file = directory / "nodes.json"
        self._pids: dict[int, int] = dict.fromkeys(ports, 0)
        self._started: dict[int, subprocess.Popen[bytes]] = {}
        """By this process, by port."""
        if self._file.exists():
            self._pids = {int(port): pid for port, pid in json.loads(self._file.read_text()).items()}

    @property
    def addresses(self) -> list[str]:
        return [f"127.0.0.1:{port}" for port in self._pids]

    def up(self, binary: Path, node_timeout_ms: int = NODE_TIMEOUT_MS) -> None:
        """Starts the nodes that do not run, and makes a cluster of them if they are none. Raises `ClusterError`."""
        for port in self._pids:
            if not self._is_alive(port):
                self._start(binary, port, node_timeout_ms)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        self._wait(deadline, "answer", lambda: all(self._answers(port) for port in self._pids))
        if not any(self._info(port).get("cluster_slots_assigned") != "0" for port in self._pids):
            self._create(deadline)
        self._wait(deadline, "agree that the cluster is well", self.is_ok)

    def is_ok(self) -> bool:
        """Do all nodes that run say that the cluster is well, with every master's replica in step?"""
        alive = [port for port in self._pids if self._is_alive(port)]
        return bool(alive) and all(self._is_well(port) for port in alive)

    def states(self) -> list[NodeState]:
        """Of every node, by port."""
        return [self._state(port) for port in self._pids]

    def kill_master(self, port: int | None = None) -> int:
        """Kills a master as `kill -9` does: the one at `port`, else the first. Raises `ClusterError`."""
        masters = [state.port for state in self.states() if state.role == "master" and state.slots]
        if not masters or (port is not None and port not in masters):
            raise ClusterError(f"There is no master to kill at {port or 'any port'}; masters: {masters}.")
        killed = port or masters[0]
        self._end(killed, signal.SIGKILL)
        return killed

    def down(self) -> None:
        """Ends all nodes; what they hold stays in the directory."""
        for port in self._pids:
            self._end(port, signal.SIGTERM)
        self._file.unlink(missing_ok=True)

    # -- one node ------------------------------------------------------------------------------------------------

    def _start(self, binary: Path, port: int, node_timeout_ms: int) -> None:
        home = self._directory / str(port)
        home.mkdir(parents=True, exist_ok=True)
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "dir": str(home),
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(node_timeout_ms),
            "appendonly": "yes",
            "save": "",
        }
        command = [str(binary), *(text for name, value in options.items() for text in (f"--{name}", value))]
        with (home / "log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._started[port], self._pids[port] = process, process.pid
        self._file.write_text(json.dumps(self._pids))

    def _is_alive(self, port: int) -> bool:
        pid = self._pids[port]
        if not pid:
            return False
        if port in self._started:
            return self._started[port].poll() is None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _end(self, port: int, how: signal.Signals) -> None:
        if self._is_alive(port):
            os.kill(self._pids[port], how)
            self._wait(time.monotonic() + _PATIENCE_SECONDS, "end", lambda: not self._is_alive(port))

    def _answers(self, port: int) -> bool:
        if not self._is_alive(port):
            log = (self._directory / str(port) / "log").read_text()[-500:]
            raise ClusterError(f"The node at port {port} (its bus: {port + _BUS_OFFSET}) did not start: {log}")
        try:
            return bool(self._ask(port, "PING"))
        except RedisError:
            return False

    def _is_well(self, port: int) -> bool:
        try:
            replication, known = self._ask(port, "INFO", "replication"), self._info(port)
        except RedisError:
            return False
        alive = sum(self._is_alive(each) for each in self._pids)
        in_step = replication["role"] == "master" or replication["master_link_status"] == "up"
        return known["cluster_state"] == "ok" and int(known["cluster_known_nodes"]) >= alive and in_step

    def _state(self, port: int) -> NodeState:
        if not self._is_alive(port):
            return NodeState(port, 0, "down")
        keys, replication = self._ask(port, "DBSIZE"), self._ask(port, "INFO", "replication")
        if replication["role"] != "master":
            return NodeState(port, self._pids[port], "replica", 0, keys, replication["master_port"])
        mine = next(line for line in self._ask(port, "CLUSTER", "NODES").decode().splitlines() if "myself" in line)
        slots = sum(_count(each) for each in mine.split()[8:] if not each.startswith("["))
        return NodeState(port, self._pids[port], "master", slots, keys)

    def _info(self, port: int) -> dict[str, str]:
        lines = self._ask(port, "CLUSTER", "INFO").decode().split()
        return dict(line.split(":", 1) for line in lines)

    def _ask(self, port: int, *command: str | int) -> Any:
        with redis.Redis(port=port, socket_timeout=2, protocol=2) as client:
            return client.execute_command(*command, NEVER_DECODE=True)

    # -- all nodes -----------------------------------------------------------------------------------------------

    def _create(self, deadline: float) -> None:
        """As `redis-cli --cluster create --cluster-replicas 1` does: the first half are masters."""
        ports = list(self._pids)
        masters, replicas = ports[:MASTERS], ports[MASTERS:]
        for port in ports[1:]:
            self._ask(ports[0], "CLUSTER", "MEET", "127.0.0.1", port)
        ids = {port: self._ask(port, "CLUSTER", "MYID").decode() for port in ports}
        bounds = [round(number * REDIS_CLUSTER_HASH_SLOTS / MASTERS) for number in range(MASTERS + 1)]
        for port, first, behind in zip(masters, bounds, bounds[1:], strict=False):
            self._ask(port, "CLUSTER", "ADDSLOTSRANGE", first, behind - 1)
        self._wait(
            deadline,
            "know each other",
            lambda: all(self._info(port)["cluster_known_nodes"] == str(len(ports)) for port in ports),
        )
        for port, master in zip(replicas, masters, strict=False):
            self._ask(port, "CLUSTER", "REPLICATE", ids[master])

    def _wait(self, deadline: float, what: str, is_so: Any) -> None:
        while not is_so():
            if time.monotonic() > deadline:
                raise ClusterError(f"The nodes did not {what} within {_PATIENCE_SECONDS} s.")
            time.sleep(_TURN_SECONDS)


def _count(slots: str) -> int:
    """`0-5460` or `7`."""
    first, _, last = slots.partition("-")
    return int(last or first) - int(first) + 1

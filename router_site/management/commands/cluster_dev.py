"""`manage.py cluster_dev up | status | kill-master | down`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from router_site.cluster_dev import FIRST_PORT, NODE_TIMEOUT_MS, NODES, ClusterError, DevCluster
from router_site.launcher.problems import StartError
from router_site.launcher.valkey import find_binary


class Command(BaseCommand):
    """Six nodes on loopback: three masters, three replicas."""

    help = "Run a Redis Cluster of six nodes on loopback, for development: no Docker needed."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dir", type=Path, default=Path("var/cluster"), help="their data (default: %(default)s)")
        actions = parser.add_subparsers(dest="action", required=True)
        up = actions.add_parser("up", help="start the nodes that do not run; make a cluster of them")
        up.add_argument("--port", type=int, default=FIRST_PORT, help="the first of six ports (default: %(default)s)")
        up.add_argument(
            "--node-timeout", type=int, default=NODE_TIMEOUT_MS, help="milliseconds until a node counts as dead"
        )
        actions.add_parser("status", help="the nodes, their roles, slots and keys")
        kill = actions.add_parser("kill-master", help="kill -9 a master; `up` starts it again")
        kill.add_argument("--port", type=int, help="which (default: the first)")
        actions.add_parser("down", help="end the nodes; their data stays")

    def handle(self, *_: Any, **options: Any) -> None:
        first = options.get("port") if options["action"] == "up" else None
        ports = range(first or FIRST_PORT, (first or FIRST_PORT) + NODES)
        cluster = DevCluster(options["dir"].absolute(), ports)
        try:
            getattr(self, f"_{options['action'].replace('-', '_')}")(cluster, options)
        except (ClusterError, StartError) as error:
            raise CommandError(str(error)) from None

    def _up(self, cluster: DevCluster, options: dict[str, Any]) -> None:
        cluster.up(find_binary(os.environ), options["node_timeout"])
        self._status(cluster, options)
        self.stdout.write("\nresponse_api.redis for the configuration:\n  cluster_mode: true\n  cluster_addresses:")
        for address in cluster.addresses:
            self.stdout.write(f'    - "{address}"')

    def _status(self, cluster: DevCluster, _: dict[str, Any]) -> None:
        for node in cluster.states():
            of = f" of {node.master_port}" if node.master_port else ""
            self.stdout.write(
                f"{node.port}  {node.role + of:<16} slots {node.slots:>5}  keys {node.keys:>6}  pid {node.pid}"
            )
        self.stdout.write(f"cluster_state: {'ok' if cluster.is_ok() else 'not ok'}")

    def _kill_master(self, cluster: DevCluster, options: dict[str, Any]) -> None:
        self.stdout.write(f"killed the master at port {cluster.kill_master(options['port'])}")

    def _down(self, cluster: DevCluster, _: dict[str, Any]) -> None:
        cluster.down()
        self.stdout.write("the nodes have ended")

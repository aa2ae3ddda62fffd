"""The site's own processes, as commands. The order in which they stop: web, worker and beat, demo, valkey."""

from __future__ import annotations

import sys

from router_site.launcher.child import Part
from router_site.launcher.data_directory import DataDirectory

WORKER_THREADS = 8
GRACEFUL_SECONDS = 30
"""How long answers that are under way may take once the web process is told to stop."""

_QUEUES = "interactive,cache,maintenance"
_WEB, _WORKER, _DEMO = 1, 2, 3


def setup() -> Part:
    """Runs to its end before the others start."""
    return Part("setup", _module("router_site.launcher.site_setup"), "", stage=_WEB, stop_seconds=5)


def web(name: str, url: str, descriptor: int) -> Part:
    """One web process; `descriptor` is the listening socket's. The seconds beyond the graceful ones are for closing."""
    return Part(
        name,
        _module("router_site.launcher.web", "--fd", str(descriptor), "--graceful-seconds", str(GRACEFUL_SECONDS)),
        url,
        stage=_WEB,
        stop_seconds=GRACEFUL_SECONDS + 5,
        descriptors=(descriptor,),
    )


def worker() -> Part:
    """Tasks that are cut off here are delivered again to the next worker."""
    options = ["--pool", "threads", "--concurrency", str(WORKER_THREADS), "--queues", _QUEUES]
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    return Part("worker", _celery("worker", *options, *quiet), f"queues {_QUEUES}", stage=_WORKER, stop_seconds=20)


def beat(var: DataDirectory) -> Part:
    """A process of its own: embedded in a worker it is a child that survives the worker's kill -9."""
    command = _celery("beat", "--schedule", str(var.path / "celerybeat-schedule"), "--loglevel", "WARNING")
    return Part("beat", command, "the worker's clock", stage=_WORKER, stop_seconds=5)


def demo(port: int) -> Part:
    command = _module("responses_api.demo_backend", "--host", "127.0.0.1", "--port", str(port))
    return Part("demo", command, f"http://127.0.0.1:{port}/v1", stage=_DEMO, stop_seconds=5)


def _celery(*arguments: str) -> tuple[str, ...]:
    return _module("celery", "--quiet", "-A", "router_site", *arguments)


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)

"""The site's own processes, as commands. The order in which they stop: web, workers and beat, demo, valkey."""

from __future__ import annotations

import sys

from router_site.launcher.child import Part
from router_site.launcher.data_directory import DataDirectory

GRACEFUL_SECONDS = 30
"""How long answers that are under way may take once the web process is told to stop."""

_WEB, _WORKER, _DEMO = 1, 2, 3


def setup() -> Part:
    """Runs to its end before the others start."""
    return Part("setup", _module("router_site.launcher.site_setup"), "", stage=_WEB, stop_seconds=5)


def web(name: str, url: str, descriptor: int) -> Part:
    """One web process; `descriptor` is the listening socket's. The seconds beyond the graceful ones are for closing."""
    return Part(
        name,
        _module("router_site.web", "--fd", str(descriptor), "--graceful-seconds", str(GRACEFUL_SECONDS)),
        url,
        stage=_WEB,
        stop_seconds=GRACEFUL_SECONDS + 5,
        descriptors=(descriptor,),
    )


def worker(concurrency: int) -> Part:
    """Background runs, `concurrency` at once; those cut off here are taken up by the next worker."""
    return _worker("worker", "interactive", concurrency)


def upkeep(concurrency: int) -> Part:
    """A process of its own, so that the index is drained however many runs are being made."""
    return _worker("upkeep", "cache,maintenance", concurrency)


def _worker(name: str, queues: str, concurrency: int) -> Part:
    options = ["--pool", "threads", "--concurrency", str(concurrency), "--queues", queues, "--hostname", f"{name}@%h"]
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    return Part(name, _celery("worker", *options, *quiet), f"queues {queues}", stage=_WORKER, stop_seconds=20)


def beat(var: DataDirectory) -> Part:
    """A process of its own: embedded in a worker it is a child that survives the worker's kill -9."""
    command = _celery("beat", "--schedule", str(var.path / "celerybeat-schedule"), "--loglevel", "WARNING")
    return Part("beat", command, "the worker's clock", stage=_WORKER, stop_seconds=5)


def demo(url: str, descriptor: int) -> Part:
    """`descriptor` is the listening socket's."""
    command = _module("responses_api.demo_backend", "--fd", str(descriptor))
    return Part("demo", command, url, stage=_DEMO, stop_seconds=5, descriptors=(descriptor,))


def _celery(*arguments: str) -> tuple[str, ...]:
    return _module("celery", "--quiet", "-A", "router_site", *arguments)


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)

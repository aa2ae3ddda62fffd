"""The start, in order: refuse early what cannot work, then what depends on nothing, then the rest all at once."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import time
from contextlib import chdir, suppress
from pathlib import Path

from responses_api.config.errors import ConfigError
from responses_api.config.load import load_config
from responses_api.config.schema import RouterConfig
from router_site.launcher import announcement, data_directory, migration_stamp, parts, ports, valkey
from router_site.launcher.child import Child, Part
from router_site.launcher.data_directory import DataDirectory
from router_site.launcher.decisions import Decisions, decide
from router_site.launcher.options import Options
from router_site.launcher.problems import StartError, complain, say
from router_site.launcher.readiness import Readiness, wants_key
from router_site.launcher.signals import Signals
from router_site.launcher.supervisor import StopRequested, Supervisor

ROOT = Path(__file__).resolve().parents[2]
DEMO_PORTS = range(8002, 8102)

_IMPATIENT_SECONDS = 10
_TURN_SECONDS = 0.02
_ASK_AGAIN_SECONDS = 0.2


def launch(options: Options, started_at: float) -> None:
    """Runs the site until somebody stops it. Raises `StartError`. `started_at` is on the monotonic clock."""
    signals = Signals()
    with data_directory.locked(options.var) as var:
        os.environ["ROUTER_VAR_DIR"] = str(var.path)
        if options.config is not None:
            os.environ["ROUTER_CONFIG"] = str(options.config)
        config = _load_config(options.config)
        decisions = decide(options, config, os.environ)
        with ports.listen(options.host, options.port) as listener:
            supervisor = Supervisor(var, ROOT, os.environ, signals, is_verbose=options.is_verbose)
            site = Site(options, decisions, var, listener, supervisor)
            with suppress(StopRequested), supervisor:
                try:
                    site.start()
                    site.wait_until_ready()
                    ready_seconds = time.monotonic() - started_at
                    site.start_celery()
                    site.announce()
                    say(f"ready in {ready_seconds:.1f} s")
                    site.watch()
                finally:
                    say("Stopping …")
            say("Stopped.")


def _load_config(path: Path | None) -> RouterConfig:
    """As the parts will read it: from the repository's root. Prints warnings. Raises `StartError`."""
    default = ROOT / "config" / "config.yaml"
    path = path or (default if default.exists() else None)
    try:
        with chdir(ROOT):
            loaded = load_config(path, os.environ)
    except ConfigError as error:
        raise StartError(f"The configuration cannot be used:\n{error}") from None
    for warning in loaded.warnings:
        complain(f"config: {warning}")
    return loaded.config


class Site:
    """The parts as `decisions` have them, run by `supervisor`, serving on `listener`."""

    def __init__(
        self,
        options: Options,
        decisions: Decisions,
        var: DataDirectory,
        listener: socket.socket,
        supervisor: Supervisor,
    ) -> None:
        self._options = options
        self._decisions = decisions
        self._var = var
        self._listener = listener
        self._supervisor = supervisor
        self._url = ports.url_of(listener)
        self._demo_listener: socket.socket | None = None

    def start(self) -> None:
        """What a request needs. Raises `StartError`, `StopRequested`."""
        await_valkey = self._start_valkey() if self._decisions.has_valkey else None
        demo = self._choose_demo() if self._decisions.has_demo else None
        if not ports.is_loopback(self._listener) or not _is_migrated():
            self._set_up()
        # Before the server answers: web processes import for more than a second until they call it.
        self._start_web()
        if demo is not None:
            self._supervisor.start(demo)
        if await_valkey is not None:
            valkey.wait_until_ready(*await_valkey, self._supervisor.turn)

    def wait_until_ready(self) -> None:
        """Returns once `/readyz` answers 200; when that takes long, says why. Raises `StartError`, `StopRequested`."""
        readiness = Readiness(self._url)
        impatient_at = time.monotonic() + _IMPATIENT_SECONDS
        while not readiness.is_ready(_TURN_SECONDS):
            # A site that answers at all has started; that its Redis is away, say, is no reason to give up.
            self._supervisor.is_restarting = bool(readiness.reason)
            self._supervisor.turn(_ASK_AGAIN_SECONDS if readiness.reason else _TURN_SECONDS)
            if time.monotonic() > impatient_at:
                complain(f"Not ready yet: {readiness.reason or 'no answer'}; waiting …")
                impatient_at = float("inf")

    def start_celery(self) -> None:
        """Only now: each of them imports for a second, which the web process would lose on a small machine."""
        if self._decisions.has_worker:
            self._supervisor.start(parts.worker(self._decisions.concurrency.interactive))
            self._supervisor.start(parts.upkeep(self._decisions.concurrency.upkeep))
            self._supervisor.start(parts.beat(self._var))

    def announce(self) -> None:
        announcement.show_parts(self._supervisor.children)
        announcement.show_how_to_use(self._url, self._decisions.model, wants_key=wants_key(self._url))
        if not ports.is_loopback(self._listener) and not os.environ.get("ALLOWED_HOSTS"):
            say("The console answers at localhost only; ALLOWED_HOSTS names where else browsers may reach it.")

    def watch(self) -> None:
        """Until somebody stops the launcher (`StopRequested`) or a part dies too often (`StartError`)."""
        self._supervisor.is_restarting = True
        while True:
            self._supervisor.turn()

    def _start_valkey(self) -> tuple[Child, int]:
        port = valkey.choose_port()
        self._var.write_port("valkey", port)
        child = self._supervisor.start(valkey.part(valkey.find_binary(os.environ), port, self._var))
        os.environ["CELERY_BROKER_URL" if self._decisions.valkey_is_broker else "REDIS_URL"] = (
            f"redis://127.0.0.1:{port}/0"
        )
        return child, port

    def _choose_demo(self) -> Part:
        # Held here as long as the site runs: another site that starts now takes another port.
        self._demo_listener = ports.listen_on_first_free(DEMO_PORTS)
        url = f"{ports.url_of(self._demo_listener)}/v1"
        os.environ["ROUTER_DEMO_URL"] = url
        return parts.demo(url, self._demo_listener.fileno())

    def _set_up(self) -> None:
        """Migrations, the first administrator, and who may come in. Raises `StartError`."""
        answer = json.loads(self._supervisor.run(parts.setup()))
        if answer["admin_password"]:
            announcement.tell_password(answer["admin_password"])
        is_open = os.environ.get("ROUTER_ALLOW_ANONYMOUS") == "1"
        if not ports.is_loopback(self._listener) and not answer["has_api_keys"] and not is_open:
            raise StartError(
                f"--host {self._options.host}: there is no API key yet, so anyone who reaches this address could use "
                f"the gateway. Make a key (ROUTER_VAR_DIR={self._var.path} .venv/bin/python manage.py create_api_key "
                "--name NAME), or set ROUTER_ALLOW_ANONYMOUS=1."
            )

    def _start_web(self) -> None:
        count = self._options.workers
        if count > 1:
            self._share_metrics()
        for number in range(1, count + 1):
            name = "web" if count == 1 else f"web-{number}"
            self._supervisor.start(parts.web(name, self._url, self._listener.fileno()))

    def _share_metrics(self) -> None:
        """Several web processes count into files of one directory, so that any of them can tell the sum."""
        shutil.rmtree(self._var.metrics)
        self._var.metrics.mkdir()
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._var.metrics)
        self._supervisor.after_death = lambda child: self._forget_gauges(child.pid)

    def _forget_gauges(self, pid: int) -> None:
        """What a dead process had open counts no longer; its totals stay."""
        for file in self._var.metrics.glob(f"gauge_live*_{pid}.db"):
            file.unlink()


def _is_migrated() -> bool:
    """False also where only Django can tell. The settings need no Django, only the environment as set by now."""
    settings = importlib.import_module("router_site.settings")
    database = settings.DATABASES["default"]
    is_sqlite = database["ENGINE"].endswith("sqlite3")
    return is_sqlite and migration_stamp.is_current(ROOT / database["NAME"], ROOT)

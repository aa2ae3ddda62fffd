"""`python -m router_site.launcher` with all its processes: starts, survives, stops."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.launcher.running_site import (
    PATIENCE_SECONDS,
    ROOT,
    RunningSite,
    environ,
    eventually,
    is_running,
    run_launcher,
)
from tests.valkey import free_port

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("launcher")]
PARTS = ("valkey", "demo", "web", "worker", "upkeep", "beat")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    site = RunningSite(tmp_path_factory.mktemp("site") / "var").wait_until_ready()
    yield site
    site.stop()


def test_it_starts_everything_and_answers(site: RunningSite) -> None:
    assert httpx.get(f"{site.url}/readyz").status_code == 200
    answer = site.ask(input="Say hello.")
    assert answer.status_code == 200
    assert answer.json()["status"] == "completed"
    assert all(is_running(site.pid_of(part)) for part in PARTS)


def test_it_says_how_to_use_it(site: RunningSite) -> None:
    assert f"{site.url}/admin/" in site.output
    assert f"curl {site.url}/v1/responses" in site.output
    assert '"model": "demo"' in site.output


def test_the_administrators_password_is_shown_once_and_kept_nowhere(site: RunningSite) -> None:
    password = site.output.partition("password ")[2].split()[0]
    assert site.output.count(password) == 1
    files = [file for file in site.var.rglob("*") if file.is_file()]
    assert not [file for file in files if password.encode() in file.read_bytes()]
    with httpx.Client(base_url=site.url) as client:
        client.get("/admin/login/")
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        assert client.post("/admin/login/?next=/admin/", data=form).status_code == 302


def test_a_second_start_on_the_same_directory_is_refused(site: RunningSite) -> None:
    second = run_launcher("--var", site.var, "--port", 1)
    assert second.returncode == 1
    assert f"Another ./run (pid {site.process.pid}) uses the data directory" in second.stderr
    assert "--var" in second.stderr


def test_a_taken_port_is_refused_by_the_name_of_its_holder(site: RunningSite, tmp_path: Path) -> None:
    second = run_launcher("--var", tmp_path / "other", "--port", site.port)
    assert second.returncode == 1
    assert f"the port is taken by pid {site.process.pid}" in second.stderr
    assert "--port" in second.stderr


@pytest.mark.parametrize("part", ["valkey", "web", "worker", "upkeep"])
def test_a_killed_part_comes_back_and_nothing_is_lost(site: RunningSite, part: str) -> None:
    stored = site.ask(input="Remember me.").json()["id"]
    site.kill_part(part)
    assert f"{part} (pid" in site.output
    assert "was killed by SIGKILL" in site.output
    eventually(lambda: httpx.get(f"{site.url}/readyz", timeout=PATIENCE_SECONDS).status_code == 200)
    assert httpx.get(f"{site.url}/v1/responses/{stored}").status_code == 200
    assert site.ask(input="And now?", previous_response_id=stored).status_code == 200


def test_a_request_to_stop_stops_everything_and_a_second_start_keeps_everything(tmp_path: Path) -> None:
    first = RunningSite(tmp_path / "var").wait_until_ready()
    stored = first.ask(input="Remember me.").json()["id"]
    assert first.stop() == 0
    assert not [pid for pid in first.pids() if is_running(pid)]

    second = RunningSite(tmp_path / "var").wait_until_ready()
    assert "password" not in second.output
    assert httpx.get(f"{second.url}/v1/responses/{stored}").status_code == 200
    second.process.send_signal(signal.SIGINT)
    assert second.process.wait(30) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_launcher_leaves_no_process_behind(tmp_path: Path) -> None:
    site = RunningSite(tmp_path / "var", "--workers", "2").wait_until_ready()
    assert len(site.pids()) == len(PARTS) + 1
    site.process.kill()
    site.process.wait()
    eventually(lambda: not [pid for pid in site.pids() if is_running(pid)])


def test_an_open_address_without_keys_is_refused(tmp_path: Path) -> None:
    result = run_launcher("--var", tmp_path / "var", "--host", "0.0.0.0", "--port", free_port())
    assert result.returncode == 1
    assert "there is no API key" in result.stderr
    assert "ROUTER_ALLOW_ANONYMOUS=1" in result.stderr


def test_a_wrong_configuration_is_refused_with_every_problem(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("response_api: {store_backend: redys, redis: {db: first}}")
    result = run_launcher("--var", tmp_path / "var", "--config", config)
    assert result.returncode == 1
    assert "response_api.store_backend = 'redys'" in result.stderr
    assert "response_api.redis.db = 'first'" in result.stderr


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    result = run_launcher("--var", tmp_path / "var")
    assert result.returncode == 1
    assert f"The data directory {tmp_path / 'var'} cannot be used" in result.stderr


def test_a_database_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    result = run_launcher(
        "--var", tmp_path / "var", "--port", free_port(), DATABASE_URL=f"sqlite:///{tmp_path}/no/such"
    )
    assert result.returncode == 1
    assert "The database cannot be used: unable to open database file" in result.stderr
    assert "Check DATABASE_URL." in result.stderr


def test_help_needs_nothing_installed() -> None:
    command = [sys.executable, "-I", "-S", "run", "--help"]
    result = subprocess.run(command, cwd=ROOT, env=environ(), capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert "--workers" in result.stdout

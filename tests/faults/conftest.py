"""One site for all faults; at the end, what must hold whatever was done to it, and the table."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from tests.faults.faults import Fault, faults_of
from tests.faults.holds import Ledger, eventually
from tests.faults.report import Report
from tests.faults.site import FaultSite


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/faults/" in str(item.path):
            item.add_marker(pytest.mark.faults)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each fault `FAULT_TIMES` times."""
    times = int(os.environ.get("FAULT_TIMES", "1"))
    if times > 1 and "fault" in metafunc.fixturenames:
        metafunc.fixturenames.append("_time")
        metafunc.parametrize("_time", range(times))


@pytest.fixture(scope="session")
def report() -> Iterator[Report]:
    report = Report()
    yield report
    sys.stdout.write(f"\n\n{report.table()}\n")
    if os.environ.get("WRITE_FAULT_TABLE"):
        report.write()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultSite]:
    site = FaultSite(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(scope="session")
def ledger(site: FaultSite) -> Ledger:
    """What clients were told, over the whole session."""
    return Ledger(site)


@pytest.fixture
def fault(site: FaultSite, request: pytest.FixtureRequest) -> Fault:
    """By its name."""
    return faults_of(site)[request.param]


@pytest.fixture(autouse=True)
def _healed(site: FaultSite) -> Iterator[None]:
    """Each test begins with everything running."""
    yield
    eventually(lambda: site.get("/readyz").status_code == 200)

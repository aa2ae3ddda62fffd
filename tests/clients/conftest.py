"""One running site for all clients: what `./run` starts, with its workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.launcher.running_site import RunningSite


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    site = RunningSite(tmp_path_factory.mktemp("site") / "var").wait_until_ready()
    yield site
    site.stop()


@pytest.fixture(scope="session")
def base_url(site: RunningSite) -> str:
    return f"{site.url}/v1"

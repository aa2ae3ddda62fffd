from __future__ import annotations

import pytest

from router_site.launcher.restarts import restart_delay


@pytest.mark.parametrize(
    ("deaths", "delay"),
    [
        ([100.0], 0.0),
        ([99.0, 100.0], 0.5),
        ([97.0, 98.0, 99.0, 100.0], 2.0),
        ([96.0, 97.0, 98.0, 99.0, 100.0], 4.0),
        ([95.0, 96.0, 97.0, 98.0, 99.0, 100.0], None),
        # More than a minute ago.
        ([10.0, 20.0, 30.0, 39.0, 40.0, 100.0], 0.0),
    ],
)
def test_deaths_within_a_minute_are_answered_ever_later_and_then_no_more(
    deaths: list[float], delay: float | None
) -> None:
    assert restart_delay(deaths, now=100.0) == delay

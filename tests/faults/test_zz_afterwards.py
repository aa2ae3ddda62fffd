"""What must hold at the end of all faults together."""

from __future__ import annotations

import pytest

from tests.faults.holds import Ledger
from tests.faults.report import Report, documented


def test_every_fault_is_documented(report: Report, request: pytest.FixtureRequest) -> None:
    """`WRITE_FAULT_TABLE=1 make test-faults` writes the table."""
    tried = set(report.rows)
    assert tried <= documented()
    if not request.config.option.keyword:
        assert tried == documented()


def test_all_that_was_acknowledged_is_kept(ledger: Ledger) -> None:
    assert ledger.acknowledged
    ledger.check_kept()


def test_each_is_indexed_and_counted_once(ledger: Ledger) -> None:
    ledger.check_indexed()


def test_nothing_is_left_behind(ledger: Ledger) -> None:
    ledger.check_nothing_is_left()

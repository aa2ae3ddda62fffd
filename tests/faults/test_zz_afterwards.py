"""What must hold at the end of all faults together."""

from __future__ import annotations

from tests.faults.holds import Ledger


def test_all_that_was_acknowledged_is_kept(ledger: Ledger) -> None:
    assert ledger.acknowledged
    ledger.check_kept()


def test_each_is_indexed_and_counted_once(ledger: Ledger) -> None:
    ledger.check_indexed()


def test_nothing_is_left_behind(ledger: Ledger) -> None:
    ledger.check_nothing_is_left()

"""What is locked opens with its key, at its place, unchanged; and not otherwise."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_api.vault import LockedAwayError, Vault

ONE, TWO = "first " * 8, "second " * 8


@given(st.binary(max_size=2000), st.text(max_size=40))
def test_what_is_locked_opens_again_elsewhere(value: bytes, place: str) -> None:
    locked = Vault([ONE]).lock(place, value)
    assert Vault([TWO, ONE]).open(place, locked) == value
    assert len(value) < 8 or value not in locked


def test_each_value_has_a_nonce_of_its_own() -> None:
    vault = Vault([ONE])
    assert len({vault.lock("p", b"same") for _ in range(1000)}) == 1000
    heads = {Vault([ONE]).lock("p", b"same")[:29] for _ in range(100)}
    assert len(heads) == 100


def test_a_child_does_not_go_on_with_its_parents_count() -> None:
    vault = Vault([ONE])
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, vault.lock("p", b"same"))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 1000)
    os.close(read)
    os.close(write)
    assert vault.open("p", theirs) == b"same"
    assert theirs[:29] != vault.lock("p", b"same")[:29]


@pytest.mark.parametrize("place", ["resp_2", "", "resp_1 "])
def test_it_does_not_open_at_another_place(place: str) -> None:
    vault = Vault([ONE])
    with pytest.raises(LockedAwayError):
        vault.open(place, vault.lock("resp_1", b"mine"))


def test_without_its_key_it_stays_closed_and_tells_which_it_needs() -> None:
    first = Vault([ONE])
    with pytest.raises(LockedAwayError, match=first.key_ids[0]):
        Vault([TWO]).open("p", first.lock("p", b"value"))
    with pytest.raises(LockedAwayError):
        Vault([]).open("p", first.lock("p", b"value"))


@given(st.data())
def test_no_changed_bit_goes_unnoticed(data: st.DataObject) -> None:
    vault = Vault([ONE])
    locked = bytearray(vault.lock("p", b"value"))
    place = data.draw(st.integers(1, len(locked) - 1))
    locked[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(LockedAwayError):
        vault.open("p", bytes(locked))


@pytest.mark.parametrize("length", range(40))
def test_what_was_cut_off_is_no_crash(length: int) -> None:
    vault = Vault([ONE])
    cut = vault.lock("p", b"value")[:length]
    if cut:  # nothing at all is nothing that was locked
        with pytest.raises(LockedAwayError):
            vault.open("p", cut)


def test_without_keys_nothing_changes() -> None:
    vault = Vault([])
    assert vault.open("p", vault.lock("p", b'{"a":1}')) == b'{"a":1}'
    assert Vault([ONE]).open("p", b'{"a":1}') == b'{"a":1}'


def test_what_is_current() -> None:
    old, new = Vault([ONE]), Vault([TWO, ONE])
    locked = old.lock("p", b"{}")
    assert (old.is_current(locked), new.is_current(locked), old.is_current(b"{}")) == (True, False, False)

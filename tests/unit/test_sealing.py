"""Opaque strings that only this gateway can read."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_api.sealing import PREFIX, BrokenSealError, Sealer

SEALER = Sealer(["a long secret, really"])


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_opens(text: str) -> None:
    sealed = SEALER.seal("reasoning", "proj", text)
    assert sealed.startswith(PREFIX)
    assert SEALER.open("reasoning", "proj", sealed) == text


@given(st.integers(min_value=0), st.characters(min_codepoint=33, max_codepoint=126))
def test_no_letter_of_it_can_be_changed(place: int, letter: str) -> None:
    sealed = SEALER.seal("reasoning", "proj", "a thought")
    place %= len(sealed)
    if sealed[place] == letter:
        return
    with pytest.raises(BrokenSealError):
        SEALER.open("reasoning", "proj", sealed[:place] + letter + sealed[place + 1 :])


@pytest.mark.parametrize(("kind", "project"), [("compaction", "proj"), ("reasoning", "other")])
def test_it_is_for_one_purpose_and_one_project(kind: str, project: str) -> None:
    with pytest.raises(BrokenSealError):
        SEALER.open(kind, project, SEALER.seal("reasoning", "proj", "a thought"))


@pytest.mark.parametrize(
    "text", ["", "rr1.", "rr1.????", "gAAAA", PREFIX + base64.urlsafe_b64encode(bytes(3)).decode()]
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(BrokenSealError):
        SEALER.open("reasoning", "proj", text)


def test_secrets_can_be_changed_one_by_one() -> None:
    old = Sealer(["the old secret"])
    both = Sealer(["the new secret", "the old secret"])
    assert both.open("reasoning", "proj", old.seal("reasoning", "proj", "x")) == "x"
    with pytest.raises(BrokenSealError):
        old.open("reasoning", "proj", both.seal("reasoning", "proj", "x"))


def test_without_a_secret_every_process_has_its_own() -> None:
    with pytest.raises(BrokenSealError):
        Sealer([]).open("reasoning", "proj", Sealer([]).seal("reasoning", "proj", "x"))

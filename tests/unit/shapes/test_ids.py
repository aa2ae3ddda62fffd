"""Ids that tell where to look."""

from __future__ import annotations

import pytest

from responses_api.shapes.ids import ItemIds, is_id, new_id, owner_digits

OWNER = "resp_0123456789abcdef01234567"


def test_ids_are_random_and_of_their_kind() -> None:
    made = {new_id("resp") for _ in range(2000)}
    assert len(made) == 2000
    assert all(is_id(each, "resp") and len(each) == 29 for each in made)


def test_an_items_id_tells_its_owner() -> None:
    ids = ItemIds(OWNER)
    assert [ids.new("msg"), ids.new("fc")] == [f"msg_{OWNER[5:]}000000", f"fc_{OWNER[5:]}000001"]
    assert owner_digits(ItemIds.of_output(OWNER).new("rs")) == OWNER[5:]
    assert owner_digits(ItemIds.random(OWNER).new("msg")) == OWNER[5:]


def test_input_and_output_never_meet() -> None:
    assert ItemIds.of_output(OWNER).new("msg") == f"msg_{OWNER[5:]}800000"
    assert ItemIds.of_output(OWNER).new("msg") == ItemIds.of_output(OWNER).new("msg")


def test_an_owner_that_gets_items_again_and_again_has_room() -> None:
    first, second = (ItemIds.random(OWNER).new("msg") for _ in range(2))
    assert first != second
    assert len(first.removeprefix(f"msg_{OWNER[5:]}")) == 12


@pytest.mark.parametrize(
    "stranger", ["", "msg", "msg_1", "msg_XYZ", "rs_68d0c1", f"{OWNER[5:]}000000", f"msg_{OWNER[5:]}", "msg_../../etc"]
)
def test_strangers_have_no_owner(stranger: str) -> None:
    assert owner_digits(stranger) is None


@pytest.mark.parametrize("value", ["", "resp_", "conv_1", "resp_a b", "resp_a*", "resp_" + "a" * 121, "resp_a\n"])
def test_what_is_no_id_never_becomes_a_key(value: str) -> None:
    assert not is_id(value, "resp")

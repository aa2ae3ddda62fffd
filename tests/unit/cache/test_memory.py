"""A bounded memory."""

from __future__ import annotations

from responses_api.cache.memory import BoundedMemory


def test_the_least_recently_used_goes() -> None:
    memory: BoundedMemory[str, int] = BoundedMemory(100)
    for number, name in enumerate("abcdefghij"):
        memory.put(name, number, 10)
    assert memory.get("a") == 0
    memory.put("k", 10, 10)
    assert (memory.get("a"), memory.get("b"), memory.bytes) == (0, None, 100)


def test_what_is_replaced_is_counted_once() -> None:
    memory: BoundedMemory[str, int] = BoundedMemory(100)
    for number in range(5):
        memory.put("a", number, 12)
    assert (memory.get("a"), len(memory), memory.bytes) == (4, 1, 12)
    memory.remove("a")
    memory.remove("a")
    assert (len(memory), memory.bytes) == (0, 0)


def test_what_is_too_large_is_not_remembered_and_what_it_replaces_is_forgotten() -> None:
    memory: BoundedMemory[str, int] = BoundedMemory(100)
    memory.put("a", 1, 5)
    memory.put("a", 2, 13)
    assert memory.get("a") is None
    assert BoundedMemory[str, int](0).get("a") is None


def test_it_can_be_emptied() -> None:
    memory: BoundedMemory[str, int] = BoundedMemory(100)
    memory.put("a", 1, 5)
    memory.clear()
    assert (len(memory), memory.bytes) == (0, 0)

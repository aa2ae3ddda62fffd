"""Reading a chain: order, round trips, missing links, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from msgspec import Raw

from responses_api.chain import Chain, LinkCache, read_chain
from responses_api.errors import InvalidChain, InvalidRequest, PreviousResponseNotFound
from responses_api.stores.memory import MemoryStore
from responses_api.stores.record import MAX_ANCESTORS, CorruptRecord, StoredResponse, encode


class CountingStore(MemoryStore):
    """A memory store that counts its round trips."""

    def __init__(self) -> None:
        super().__init__(max_responses=100_000)
        self.round_trips = 0
        self.read = 0

    async def get(self, response_ids: Sequence[str]) -> list[bytes | None]:
        """Asking for nothing, or beside an `exist`, is no round trip of its own."""
        self.round_trips += bool(response_ids)
        self.read += len(response_ids)
        return await super().get(response_ids)

    async def exist(self, response_ids: Sequence[str]) -> bool:
        self.round_trips += bool(response_ids)
        return await super().exist(response_ids)


def name(number: int) -> str:
    return f"resp_{number}"


async def put(
    store: MemoryStore,
    chain: Chain,
    number: int,
    *,
    project: str = "p",
    status: str = "completed",
    ancestors: list[str] | None = None,
) -> None:
    turn = [{"type": "message", "role": f"msg_{number}"}]
    response = {"status": status, "output": [{"type": "message", "role": f"out_{number}"}]}
    stored = StoredResponse(
        id=name(number),
        previous_response_id=chain.links[-1].id if chain.links else "",
        project=project,
        created_at=0,
        depth=chain.depth,
        ancestors=chain.ancestors if ancestors is None else ancestors,
        input=Raw(msgspec.json.encode(turn)),
        response=Raw(msgspec.json.encode(response)),
    )
    assert await store.create(stored.id, encode(stored), 0)


async def grow(store: MemoryStore, turns: int) -> None:
    chain = Chain()
    for number in range(turns):
        await put(store, chain, number)
        chain = await read_chain(store, "p", name(number), 10_000)


def ids(chain: Chain) -> list[str]:
    return [link.id for link in chain.links]


async def test_a_chain_is_read_oldest_first_input_before_output() -> None:
    store = CountingStore()
    await grow(store, 3)
    chain = await read_chain(store, "p", name(2), 100)
    assert ids(chain) == [name(0), name(1), name(2)]
    assert [item.role for item in chain.items] == ["msg_0", "out_0", "msg_1", "out_1", "msg_2", "out_2"]
    assert chain.missing == 0
    assert chain.depth == 3


@pytest.mark.parametrize(
    ("turns", "round_trips"), [(1, 1), (2, 2), (64, 2), (65, 2), (66, 3), (129, 3), (130, 4), (200, 5)]
)
async def test_it_takes_two_round_trips_and_one_more_per_further_window(turns: int, round_trips: int) -> None:
    store = CountingStore()
    await grow(store, turns)
    store.round_trips = 0
    chain = await read_chain(store, "p", name(turns - 1), 10_000)
    assert store.round_trips == round_trips
    assert ids(chain) == [name(number) for number in range(turns)]


async def test_the_list_of_ancestors_stays_bounded() -> None:
    store = CountingStore()
    await grow(store, 200)
    chain = await read_chain(store, "p", name(199), 10_000)
    assert chain.ancestors == [name(number) for number in range(200 - MAX_ANCESTORS, 200)]


@pytest.mark.parametrize(
    "gone", [{0}, {5}, {1, 2, 3}, {135}, {135, 136, 137}, {0, 70, 140, 198}, set(range(0, 190, 2))]
)
async def test_missing_ancestors_are_skipped_and_counted_older_ones_stay(gone: set[int]) -> None:
    store = CountingStore()
    await grow(store, 200)
    for number in gone:
        await store.delete(name(number))
    chain = await read_chain(store, "p", name(199), 10_000)
    assert ids(chain) == [name(number) for number in range(200) if number not in gone]
    assert chain.missing == len(gone)
    assert chain.depth == 200


async def test_when_a_whole_window_is_gone_the_rest_counts_as_missing() -> None:
    store = CountingStore()
    await grow(store, 100)
    for number in range(99 - MAX_ANCESTORS, 99):
        await store.delete(name(number))
    chain = await read_chain(store, "p", name(99), 10_000)
    assert ids(chain) == [name(99)]
    assert chain.missing == 99


async def test_links_that_are_kept_are_only_asked_after() -> None:
    store, cache = CountingStore(), LinkCache(1_000_000)
    await grow(store, 100)
    first = await read_chain(store, "p", name(99), 1000, cache)
    store.round_trips = store.read = 0
    again = await read_chain(store, "p", name(99), 1000, cache)
    assert ids(again) == ids(first) == [name(number) for number in range(100)]
    assert store.read == 1  # the last, which is always read anew
    assert store.round_trips == 3


@pytest.mark.parametrize("gone", [{0}, {98}, {10, 50, 97}])
async def test_a_kept_link_that_is_gone_is_not_used(gone: set[int]) -> None:
    store, cache = CountingStore(), LinkCache(1_000_000)
    await grow(store, 100)
    await read_chain(store, "p", name(99), 1000, cache)
    for number in gone:
        await store.delete(name(number))
    for _ in range(2):
        chain = await read_chain(store, "p", name(99), 1000, cache)
        assert ids(chain) == [name(number) for number in range(100) if number not in gone]
        assert chain.missing == len(gone)


async def test_a_kept_link_is_nobody_elses() -> None:
    store, cache = CountingStore(), LinkCache(1_000_000)
    await put(store, Chain(), 0, project="theirs")
    theirs = await read_chain(store, "theirs", name(0), 1000, cache)
    await put(store, theirs, 1, project="theirs")
    await read_chain(store, "theirs", name(1), 1000, cache)
    await put(store, Chain(), 2, ancestors=[name(0)])
    with pytest.raises(InvalidChain, match="another project"):
        await read_chain(store, "p", name(2), 1000, cache)


async def test_what_is_kept_is_bounded_in_bytes() -> None:
    store, cache = CountingStore(), LinkCache(2000)
    await grow(store, 60)
    for _ in range(2):
        chain = await read_chain(store, "p", name(59), 1000, cache)
        assert ids(chain) == [name(number) for number in range(60)]
    assert 0 < cache._bytes <= 2000
    assert cache._bytes == sum(size for _, size in cache._links.values())


@pytest.mark.parametrize("unknown", ["resp_unknown", "msg_0", "", "resp_\n", "../etc", "resp_" + "x" * 500])
async def test_an_unknown_id_is_not_found(unknown: str) -> None:
    with pytest.raises(PreviousResponseNotFound) as caught:
        await read_chain(CountingStore(), "p", unknown, 100)
    assert caught.value.code == "previous_response_not_found"
    assert caught.value.status == 400


async def test_another_projects_response_is_answered_like_an_unknown_one() -> None:
    store = CountingStore()
    await put(store, Chain(), 0, project="theirs")
    with pytest.raises(PreviousResponseNotFound) as foreign:
        await read_chain(store, "ours", name(0), 100)
    with pytest.raises(PreviousResponseNotFound) as unknown:
        await read_chain(store, "ours", name(1), 100)
    assert foreign.value.message.replace(name(0), name(1)) == unknown.value.message


async def test_a_foreign_ancestor_is_refused() -> None:
    store = CountingStore()
    await put(store, Chain(), 0, project="theirs")
    await put(store, Chain(), 1, ancestors=[name(0)])
    with pytest.raises(InvalidChain, match="another project"):
        await read_chain(store, "p", name(1), 100)


@pytest.mark.parametrize("ancestors", [[name(1)], [name(0), name(0)]])
async def test_a_cycle_is_refused(ancestors: list[str]) -> None:
    store = CountingStore()
    await put(store, Chain(), 0)
    await put(store, Chain(), 1, ancestors=ancestors)
    with pytest.raises(InvalidChain, match="circle"):
        await read_chain(store, "p", name(1), 100)


async def test_a_cycle_over_two_windows_is_refused() -> None:
    store = CountingStore()
    await put(store, Chain(), 0, ancestors=[name(1)])
    await put(store, Chain(), 1, ancestors=[name(0)])
    with pytest.raises(InvalidChain, match="circle"):
        await read_chain(store, "p", name(1), 100)


async def test_a_chain_that_is_too_long_is_refused() -> None:
    store = CountingStore()
    await grow(store, 12)
    await read_chain(store, "p", name(10), 10)
    with pytest.raises(InvalidChain, match="more than 10"):
        await read_chain(store, "p", name(11), 10)


@pytest.mark.parametrize("status", ["failed", "in_progress", "queued", "cancelled"])
async def test_a_response_that_did_not_end_well_cannot_be_continued(status: str) -> None:
    store = CountingStore()
    await put(store, Chain(), 0, status=status)
    with pytest.raises(InvalidRequest, match="cannot be continued"):
        await read_chain(store, "p", name(0), 100)


async def test_an_incomplete_response_can_be_continued() -> None:
    store = CountingStore()
    await put(store, Chain(), 0, status="incomplete")
    assert ids(await read_chain(store, "p", name(0), 100)) == [name(0)]


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"id":1}'])
async def test_a_corrupt_record_is_said_not_guessed(value: bytes) -> None:
    store = CountingStore()
    await store.create(name(0), value, 0)
    with pytest.raises(CorruptRecord):
        await read_chain(store, "p", name(0), 100)

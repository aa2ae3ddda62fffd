"""Answers go to the workers in few batches, whatever the load, and all of them go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from responses_api.cache.filing_queue import BATCH_SIZE, GATHER_SECONDS, Filing, FilingQueue


async def test_a_steady_load_goes_out_in_few_batches() -> None:
    batches: list[Sequence[Filing]] = []
    queue = FilingQueue(batches.append)
    loop = asyncio.get_running_loop()
    began, number = loop.time(), 0
    while loop.time() < began + 4 * GATHER_SECONDS:
        queue.add(("project", str(number)))
        number += 1
        await asyncio.sleep(0.005)
    await queue.aclose()
    assert [digest for batch in batches for _, digest in batch] == [str(each) for each in range(number)]
    assert len(batches) <= 6


async def test_no_batch_is_larger_than_a_worker_is_to_take_at_once() -> None:
    batches: list[Sequence[Filing]] = []
    queue = FilingQueue(batches.append)
    for number in range(2 * BATCH_SIZE + 1):
        queue.add(("project", str(number)))
    await queue.aclose()
    assert [len(batch) for batch in batches] == [BATCH_SIZE, BATCH_SIZE, 1]


async def test_what_the_broker_refuses_costs_nobody_the_next_batch() -> None:
    batches: list[Sequence[Filing]] = []

    def file(batch: Sequence[Filing]) -> None:
        batches.append(batch)
        if len(batches) == 1:
            raise ConnectionError("the broker is away")

    queue = FilingQueue(file)
    queue.add(("project", "lost"))
    await queue.aclose()
    queue.add(("project", "filed"))
    await queue.aclose()
    assert batches == [[("project", "lost")], [("project", "filed")]]

"""What is handed over together is what was added: all of it, in order, once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from responses_api.gathering import Gathering


def test_what_comes_close_together_is_handed_over_together() -> None:
    taken: list[list[int]] = []
    gathering = Gathering(taken.append, 0.1, "test")
    for number in range(100):
        gathering.add(number)
    assert taken == []
    deadline = time.monotonic() + 5
    while not taken and time.monotonic() < deadline:
        time.sleep(0.01)
    assert taken == [list(range(100))]


def test_it_goes_on_gathering_afterwards() -> None:
    taken: list[list[int]] = []
    gathering = Gathering(taken.append, 0.01, "test")
    for number in range(3):
        gathering.add(number)
        deadline = time.monotonic() + 5
        while len(taken) <= number and time.monotonic() < deadline:
            time.sleep(0.001)
    assert taken == [[0], [1], [2]]


def test_nothing_is_lost_or_doubled_between_threads() -> None:
    taken: list[int] = []
    gathering = Gathering(taken.extend, 0.001, "test")

    def add(first: int) -> None:
        for number in range(first, first + 20_000):
            gathering.add(number)
            if number % 1000 == 0:
                gathering.hand_over()

    threads = [threading.Thread(target=add, args=(first,)) for first in (0, 20_000, 40_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gathering.hand_over()
    deadline = time.monotonic() + 5
    while len(taken) < 60_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(taken) == list(range(60_000))


_AT_EXIT = """
import os, sys
from responses_api.gathering import Gathering

gathering = Gathering(lambda items: print(os.getpid() == parent, *items, flush=True), 60, "test")
parent = os.getpid()
gathering.add("parent's")
if not os.fork():
    gathering.add("child's")
    sys.exit()
os.wait()
"""


def test_the_rest_goes_out_at_exit_and_a_forked_process_has_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", _AT_EXIT], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines() == ["False child's", "True parent's"]

"""The buckets that charts are drawn from: each request once, whatever happens to the worker."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from responses_api import index_drain, traffic
from responses_api.index_entry import IndexEntry
from responses_api.models import ResponseIndex, TrafficBucket
from tests.index.conftest import Stream

pytestmark = pytest.mark.django_db
AT = 1_700_000_000


def entry(number: int, **fields: Any) -> IndexEntry:
    return IndexEntry(**{"id": f"resp_{number}", "project": "p", "created_at": AT, "status": "completed", **fields})


def counted(seconds: int = 3600, dimension: str = "all", name: str = "") -> traffic.Traffic:
    rows = TrafficBucket.objects.filter(seconds=seconds, dimension=dimension, name=name)
    return traffic.total(traffic.decode(row.traffic) for row in rows)


def test_batches_add_up(stream: Stream) -> None:
    stream.add(*(entry(number, model="m" if number % 2 else "n") for number in range(25)))
    index_drain.drain(stream.client, stream.key_prefix, batch_size=10)
    stream.add(entry(99, model="m"))
    index_drain.drain(stream.client, stream.key_prefix)
    assert counted().requests == counted(60).requests == counted(900).requests == 26
    assert (counted(dimension="model", name="m").requests, counted(dimension="model", name="n").requests) == (13, 13)


def test_killed_between_sql_and_redis_nothing_counts_twice(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    stream.add(*map(entry, range(5)))
    with monkeypatch.context() as patched:
        patched.setattr(stream.client, "xdel", die)
        with pytest.raises(Killed):
            index_drain.drain(stream.client, stream.key_prefix)
    assert len(stream) == 5
    stream.add(entry(6))
    index_drain.drain(stream.client, stream.key_prefix)
    assert counted().requests == 6


def test_what_arrives_twice_counts_once(stream: Stream) -> None:
    stream.add(entry(1), entry(1))
    index_drain.drain(stream.client, stream.key_prefix)
    stream.add(entry(1), entry(2))
    index_drain.drain(stream.client, stream.key_prefix)
    assert counted().requests == 2


def test_late_news_of_what_has_ended_changes_nothing(stream: Stream) -> None:
    stream.add(entry(1), entry(1, status="in_progress"))
    index_drain.drain(stream.client, stream.key_prefix)
    stream.add(entry(1, status="in_progress"), entry(2, status="queued"), entry(2, status="in_progress"))
    index_drain.drain(stream.client, stream.key_prefix)
    rows = dict(ResponseIndex.objects.values_list("id", "status"))
    assert rows == {"resp_1": "completed", "resp_2": "in_progress"}
    assert counted().requests == 1


def test_names_that_do_not_fit_are_cut(stream: Stream) -> None:
    stream.add(entry(1, model="m\x00" + "x" * 500), entry(2, model="m" + "x" * 600))
    assert index_drain.drain(stream.client, stream.key_prefix).rejected == 0
    assert counted(dimension="model", name="m" + "x" * 199).requests == 1


def test_old_buckets_go(stream: Stream) -> None:
    stream.add(entry(1))
    index_drain.drain(stream.client, stream.key_prefix)
    index_drain.sweep(datetime.fromtimestamp(AT + 5 * 86_400, UTC))
    assert {row.seconds for row in TrafficBucket.objects.all()} == {3600}

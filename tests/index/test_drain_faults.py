"""What the drain must survive: entries SQL cannot hold, a death at each step, a lock lost while it slept."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import LockError

from responses_api import metrics
from responses_api.index_drain import Drained, drain
from responses_api.index_entry import IndexEntry
from responses_api.models import ResponseIndex
from responses_api.orm_threads import in_thread
from tests.index.conftest import Stream
from tests.meddling import Meddling

pytestmark = pytest.mark.django_db


def entry(response_id: str, **fields: Any) -> IndexEntry:
    return IndexEntry(**{"id": response_id, "project": "default", "created_at": 1_700_000_000.0} | fields)


def counted(metric: metrics.Counter) -> float:
    metrics.hand_over()
    (sample,) = [each for family in metric.collect() for each in family.samples if each.name.endswith("_total")]
    return sample.value


def ids() -> list[str]:
    return sorted(ResponseIndex.objects.values_list("id", flat=True))


def fail() -> None:
    raise RedisConnectionError("gone")


class TestWriting:
    def test_it_writes_what_waits_and_empties_the_stream(self, stream: Stream) -> None:
        stream.add(
            entry(
                "resp_1",
                project="proj_a",
                created_at=1_700_000_000.25,
                expires_at=1_700_003_600.0,
                request_id="req_1",
                model="qwen3",
                status="completed",
                stored=True,
                stream=True,
                previous_response_id="resp_0",
                verdict="hit",
                verdict_reason="exact",
                backend="vllm",
                input_tokens=7,
                output_tokens=9,
                duration_ms=12.5,
                first_token_ms=3.5,
            )
        )

        assert drain(stream.client, stream.key_prefix) == Drained(written=1)

        row = ResponseIndex.objects.get()
        assert row.id == "resp_1"
        assert row.project == "proj_a"
        assert row.created_at == datetime(2023, 11, 14, 22, 13, 20, 250_000, UTC)
        assert row.expires_at == datetime(2023, 11, 14, 23, 13, 20, tzinfo=UTC)
        assert row.deleted_at is None
        assert (row.request_id, row.model, row.status, row.backend) == ("req_1", "qwen3", "completed", "vllm")
        assert (row.stored, row.stream, row.previous_response_id) == (True, True, "resp_0")
        assert (row.verdict, row.verdict_reason) == ("hit", "exact")
        assert (row.input_tokens, row.cached_tokens, row.output_tokens, row.reasoning_tokens) == (7, 0, 9, 0)
        assert (row.duration_ms, row.first_token_ms, row.gateway_ms) == (12.5, 3.5, 0)
        assert len(stream) == 0

    def test_what_never_expires_has_no_expiry(self, stream: Stream) -> None:
        stream.add(entry("resp_1"))
        drain(stream.client, stream.key_prefix)
        assert ResponseIndex.objects.get().expires_at is None

    def test_an_empty_stream_is_no_work(self, stream: Stream) -> None:
        assert drain(stream.client, stream.key_prefix) == Drained()

    def test_it_drains_thousands_in_batches(self, stream: Stream) -> None:
        stream.add(*(entry(f"resp_{number % 4_000}", input_tokens=number) for number in range(5_000)))

        assert drain(stream.client, stream.key_prefix).written == 5_000

        assert ResponseIndex.objects.count() == 4_000
        assert ResponseIndex.objects.get(id="resp_999").input_tokens == 4_999
        assert ResponseIndex.objects.get(id="resp_1000").input_tokens == 1_000
        assert len(stream) == 0

    def test_it_counts_what_it_wrote(self, stream: Stream) -> None:
        before = counted(metrics.INDEX_DRAINED)
        stream.add(entry("resp_1"), entry("resp_2"))
        drain(stream.client, stream.key_prefix)
        assert counted(metrics.INDEX_DRAINED) - before == 2

    @pytest.mark.parametrize("batch_size", [1, 10])
    def test_of_several_entries_for_one_id_the_last_holds(self, stream: Stream, batch_size: int) -> None:
        stream.add(entry("resp_1", status="queued"), entry("resp_1", status="in_progress"))
        stream.add(entry("resp_2", status="queued"), entry("resp_1", status="completed", expires_at=1_800_000_000.0))

        drain(stream.client, stream.key_prefix, batch_size=batch_size)

        assert ids() == ["resp_1", "resp_2"]
        row = ResponseIndex.objects.get(id="resp_1")
        assert row.status == "completed"
        assert row.expires_at is not None


class TestDeletion:
    @pytest.mark.parametrize("batch_size", [1, 10])
    def test_it_marks_the_row_and_keeps_the_rest(self, stream: Stream, batch_size: int) -> None:
        stream.add(entry("resp_1", model="qwen3"), entry("resp_1", op="delete"), entry("resp_2"))

        drain(stream.client, stream.key_prefix, batch_size=batch_size)

        row = ResponseIndex.objects.get(id="resp_1")
        assert row.deleted_at is not None
        assert row.model == "qwen3"
        assert ResponseIndex.objects.get(id="resp_2").deleted_at is None

    @pytest.mark.parametrize("batch_size", [1, 10])
    def test_a_late_entry_does_not_resurrect_the_row(self, stream: Stream, batch_size: int) -> None:
        stream.add(entry("resp_1"), entry("resp_1", op="delete"), entry("resp_1", status="completed"))

        drain(stream.client, stream.key_prefix, batch_size=batch_size)

        row = ResponseIndex.objects.get()
        assert row.deleted_at is not None
        assert row.status == "completed"

    def test_of_an_unknown_id_it_makes_no_row(self, stream: Stream) -> None:
        stream.add(entry("resp_1", op="delete"))
        assert drain(stream.client, stream.key_prefix).written == 1
        assert ids() == []

    def test_a_second_one_keeps_the_time_of_the_first(self, stream: Stream) -> None:
        stream.add(entry("resp_1"), entry("resp_1", op="delete"))
        drain(stream.client, stream.key_prefix)
        first = ResponseIndex.objects.get().deleted_at
        stream.add(entry("resp_1", op="delete"))
        drain(stream.client, stream.key_prefix)
        assert ResponseIndex.objects.get().deleted_at == first


class TestBadEntries:
    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"\xff\xfe",
            b"[]",
            b'{"id":"resp_x"}',
            b'{"id":"resp_x","project":"p","created_at":1,"op":"explode"}',
            b'{"id":"resp_x","project":"p","created_at":"yesterday"}',
            b'{"id":"resp_x","project":"p","created_at":1e300}',
            b'{"id":"resp_x","project":"p","created_at":-1e12}',
            b'{"id":"resp_x","project":"p","created_at":1,"expires_at":1e15}',
            b'{"id":"resp_x","project":"p","created_at":1,"input_tokens":9223372036854775808}',
        ],
    )
    def test_one_is_set_aside_and_its_neighbours_written(self, stream: Stream, value: bytes) -> None:
        before = counted(metrics.INDEX_REJECTED)
        stream.add(entry("resp_1"))
        stream.add_raw(value)
        stream.add(entry("resp_2"))

        assert drain(stream.client, stream.key_prefix) == Drained(written=2, rejected=1)

        assert ids() == ["resp_1", "resp_2"]
        assert len(stream) == 0
        assert counted(metrics.INDEX_REJECTED) - before == 1

    def test_one_in_another_field_is_set_aside(self, stream: Stream) -> None:
        stream.add_raw(b"{}", field="other")
        assert drain(stream.client, stream.key_prefix) == Drained(rejected=1)

    def test_a_batch_of_them_alone_does_not_stop_the_next(self, stream: Stream) -> None:
        stream.add_raw(b"x", b"y")
        stream.add(entry("resp_1"))
        assert drain(stream.client, stream.key_prefix, batch_size=2) == Drained(written=1, rejected=2)

    def test_text_is_cut_to_what_its_column_holds(self, stream: Stream) -> None:
        stream.add(entry("resp_1", model="m" * 500, previous_response_id="p" * 500, status="a\x00b"))
        drain(stream.client, stream.key_prefix)
        row = ResponseIndex.objects.get()
        assert row.model == "m" * 200
        assert len(row.previous_response_id) == ResponseIndex._meta.get_field("previous_response_id").max_length
        assert row.status == "ab"

    def test_a_backend_that_counts_below_zero_stops_nothing(self, stream: Stream) -> None:
        stream.add(entry("resp_1", output_tokens=-1))
        assert drain(stream.client, stream.key_prefix).written == 1


class TestCrash:
    def test_between_sql_and_redis_it_repeats_itself_without_doubles(self, stream: Stream) -> None:
        stream.add(entry("resp_1", status="completed"), entry("resp_2"), entry("resp_2", op="delete"))

        with pytest.raises(RedisConnectionError):
            drain(Meddling(stream.client, "xdel", fail), stream.key_prefix)
        assert ids() == ["resp_1", "resp_2"]
        assert len(stream) == 3
        deleted_at = ResponseIndex.objects.get(id="resp_2").deleted_at

        stream.add(entry("resp_3"))
        assert drain(stream.client, stream.key_prefix).written == 4
        assert ids() == ["resp_1", "resp_2", "resp_3"]
        assert ResponseIndex.objects.get(id="resp_2").deleted_at == deleted_at
        assert len(stream) == 0

    def test_before_sql_it_loses_nothing(self, stream: Stream) -> None:
        stream.add(entry("resp_1"))
        with pytest.raises(RedisConnectionError):
            drain(Meddling(stream.client, "xrange", fail), stream.key_prefix)
        assert len(stream) == 1
        assert drain(stream.client, stream.key_prefix).written == 1

    def test_it_removes_only_what_it_read(self, stream: Stream) -> None:
        stream.add(entry("resp_1"))
        late = [entry("resp_2")]
        writer = Meddling(stream.client, "xdel", lambda: stream.add(late.pop()) if late else None)
        assert drain(writer, stream.key_prefix).written == 2
        assert ids() == ["resp_1", "resp_2"]

    def test_a_failed_drain_gives_the_lock_back(self, stream: Stream) -> None:
        stream.add(entry("resp_1"))
        with pytest.raises(RedisConnectionError):
            drain(Meddling(stream.client, "xdel", fail), stream.key_prefix)
        assert not drain(stream.client, stream.key_prefix).is_locked


class TestTwoDrainers:
    def test_the_second_leaves_it_to_the_first(self, stream: Stream) -> None:
        stream.add(entry("resp_1"))
        others: list[Drained] = []
        first = Meddling(stream.client, "xdel", lambda: others.append(drain(stream.client, stream.key_prefix)))
        assert drain(first, stream.key_prefix).written == 1
        assert others == [Drained(is_locked=True)]

    def test_one_that_lost_the_lock_does_not_write_over_the_newer_row(self, stream: Stream) -> None:
        """It read the first entry, then slept; meanwhile another wrote both."""
        stream.add(entry("resp_1", status="in_progress"))

        with pytest.raises(LockError):
            drain(_Sleeper(stream, entry("resp_1", status="completed")), stream.key_prefix)

        assert ResponseIndex.objects.get().status == "completed"
        assert len(stream) == 0

    def test_one_that_lost_the_lock_while_it_wrote_takes_it_back(self, stream: Stream) -> None:
        stream.add(entry("resp_1"))

        def lose_lock(execute: Any, sql: str, *rest: Any) -> Any:
            if sql.startswith("INSERT"):
                stream.client.delete(f"{stream.key_prefix}index:lock")
            return execute(sql, *rest)

        with connection.execute_wrapper(lose_lock), pytest.raises(LockError):
            drain(stream.client, stream.key_prefix)

        assert ids() == []
        assert drain(stream.client, stream.key_prefix).written == 1

    def test_one_that_lost_the_lock_leaves_that_of_the_other(self, stream: Stream) -> None:
        stream.add(entry("resp_1"), entry("resp_2"))
        lock_key = f"{stream.key_prefix}index:lock"
        robbed = Meddling(stream.client, "xdel", lambda: stream.client.set(lock_key, "another", px=30_000))
        with pytest.raises(LockError):
            drain(robbed, stream.key_prefix, batch_size=1)
        assert stream.client.get(lock_key) == b"another"

    @pytest.mark.django_db(transaction=True)
    def test_in_threads_they_share_the_work_and_double_nothing(self, stream: Stream) -> None:
        stream.add(*(entry(f"resp_{number}") for number in range(2_000)))
        results: list[Drained] = []

        def work() -> None:
            results.append(in_thread(drain)(stream.client, stream.key_prefix, batch_size=100))

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sum(result.written for result in results) == 2_000
        assert ResponseIndex.objects.count() == 2_000
        assert len(stream) == 0


class _Sleeper:
    """A drainer's client: after its first read its lock runs out and another drainer does all the work."""

    def __init__(self, stream: Stream, newer: IndexEntry) -> None:
        self._stream = stream
        self._newer = newer
        self._has_slept = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream.client, name)

    def xrange(self, *arguments: Any, **options: Any) -> Any:
        raw = self._stream.client.xrange(*arguments, **options)
        if not self._has_slept:
            self._has_slept = True
            self._stream.client.delete(f"{self._stream.key_prefix}index:lock")
            self._stream.add(self._newer)
            drain(self._stream.client, self._stream.key_prefix)
        return raw

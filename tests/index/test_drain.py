"""Index entries from Redis to SQL: none lost, none doubled, whatever happens in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from responses_api import index_drain
from responses_api.index_entry import STREAM_FIELD, IndexEntry, encode, stream_key
from responses_api.models import ResponseIndex
from responses_api.orm_threads import in_thread
from tests.valkey import Valkey

PREFIX = "drain:"
pytestmark = pytest.mark.django_db


@pytest.fixture
def client(valkey: Valkey) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(valkey.url)
    client.delete(stream_key(PREFIX), f"{PREFIX}index:lock")
    yield client
    client.close()


def entry(number: int, **fields: Any) -> IndexEntry:
    return IndexEntry(id=f"resp_{number}", project="p", created_at=1_700_000_000 + number, **fields)


def add(client: redis.Redis, *entries: IndexEntry) -> None:
    for each in entries:
        client.xadd(stream_key(PREFIX), {STREAM_FIELD: encode(each)})


def test_entries_become_rows_and_leave_the_stream(client: redis.Redis) -> None:
    add(client, entry(1, model="m", status="completed", input_tokens=3, expires_at=1_800_000_000.5, stored=True))
    drained = index_drain.drain(client, PREFIX)
    assert (drained.written, drained.rejected) == (1, 0)
    row = ResponseIndex.objects.get()
    assert (row.id, row.project, row.model, row.status, row.input_tokens, row.stored) == (
        "resp_1",
        "p",
        "m",
        "completed",
        3,
        True,
    )
    assert row.created_at == datetime.fromtimestamp(1_700_000_001, UTC)
    assert row.expires_at == datetime.fromtimestamp(1_800_000_000.5, UTC)
    assert client.xlen(stream_key(PREFIX)) == 0


def test_thousands_in_batches(client: redis.Redis) -> None:
    pipeline = client.pipeline()
    for number in range(2500):
        pipeline.xadd(stream_key(PREFIX), {STREAM_FIELD: encode(entry(number))})
    pipeline.execute()
    assert index_drain.drain(client, PREFIX, batch_size=1000).written == 2500
    assert ResponseIndex.objects.count() == 2500


def test_the_last_entry_of_an_id_holds(client: redis.Redis) -> None:
    add(client, entry(1, status="completed"), entry(1, status="failed"))
    index_drain.drain(client, PREFIX)
    add(client, entry(2, status="failed"))
    index_drain.drain(client, PREFIX)
    add(client, entry(2, status="completed"))
    index_drain.drain(client, PREFIX)
    assert dict(ResponseIndex.objects.values_list("id", "status")) == {"resp_1": "failed", "resp_2": "completed"}


def test_killed_between_sql_and_redis_nothing_is_doubled(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    add(client, entry(1), entry(2))
    with monkeypatch.context() as patch:
        patch.setattr(client, "xdel", die)
        with pytest.raises(Killed):
            index_drain.drain(client, PREFIX)
    assert ResponseIndex.objects.count() == 2
    assert client.xlen(stream_key(PREFIX)) == 2
    index_drain.drain(client, PREFIX)
    assert ResponseIndex.objects.count() == 2
    assert client.xlen(stream_key(PREFIX)) == 0


def test_what_sql_refuses_stays_in_the_stream(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    add(client, entry(1))
    with monkeypatch.context() as patch:
        patch.setattr(index_drain, "write", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            index_drain.drain(client, PREFIX)
    assert client.xlen(stream_key(PREFIX)) == 1
    assert index_drain.drain(client, PREFIX).written == 1


def test_deleted_stays_deleted_even_if_its_entry_is_written_again(client: redis.Redis) -> None:
    add(client, entry(1), entry(1, op="delete"))
    index_drain.drain(client, PREFIX)
    add(client, entry(1))
    index_drain.drain(client, PREFIX)
    assert ResponseIndex.objects.get().deleted_at is not None


def test_a_delete_without_a_row_is_harmless(client: redis.Redis) -> None:
    add(client, entry(1, op="delete"))
    assert index_drain.drain(client, PREFIX).written == 1
    assert not ResponseIndex.objects.exists()


@pytest.mark.parametrize("fields", [{"entry": b"{broken"}, {"other": b"x"}, {"entry": b"\xff"}, {"entry": b"{}"}])
def test_an_unreadable_entry_is_set_aside_and_counted(client: redis.Redis, fields: dict[str, bytes]) -> None:
    client.xadd(stream_key(PREFIX), fields)  # type: ignore[arg-type]
    add(client, entry(1))
    drained = index_drain.drain(client, PREFIX)
    assert (drained.written, drained.rejected) == (1, 1)
    assert client.xlen(stream_key(PREFIX)) == 0


def test_text_beyond_its_column_is_cut(client: redis.Redis) -> None:
    add(client, entry(1, model="m" * 5000 + "\x00"))
    index_drain.drain(client, PREFIX)
    assert ResponseIndex.objects.get().model == "m" * 200


def test_a_second_drain_stands_back(client: redis.Redis) -> None:
    add(client, entry(1))
    lock = client.lock(f"{PREFIX}index:lock", timeout=5)
    lock.acquire()
    assert index_drain.drain(client, PREFIX).is_locked
    lock.release()
    assert not index_drain.drain(client, PREFIX).is_locked


@pytest.mark.django_db(transaction=True)
def test_two_drains_at_once_write_each_row_once(client: redis.Redis) -> None:
    add(client, *(entry(number) for number in range(500)))
    threads = [
        threading.Thread(target=in_thread(index_drain.drain), args=(client, PREFIX), kwargs={"batch_size": 50})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index_drain.drain(client, PREFIX)
    assert ResponseIndex.objects.count() == 500


def test_the_sweep_removes_what_has_expired_and_nothing_else(client: redis.Redis) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    add(
        client,
        entry(1, expires_at=(now - timedelta(seconds=1)).timestamp()),
        entry(2, expires_at=(now + timedelta(seconds=1)).timestamp()),
        entry(3),
    )
    index_drain.drain(client, PREFIX)
    assert index_drain.sweep(now) == 1
    assert set(ResponseIndex.objects.values_list("id", flat=True)) == {"resp_2", "resp_3"}

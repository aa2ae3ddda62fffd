"""Index entries: from the Redis stream to SQL, in batches, idempotently.

Entries leave the stream only after their transaction is committed. Killed in between, the next drain writes the same
rows again, over themselves. The buckets of `traffic` are added to in the same transaction, and by what had no ended row
before: whatever comes twice, by whatever way, counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from django.db import DataError, transaction
from django.utils import timezone
from redis.exceptions import LockError
from redis.lock import Lock

from responses_api import metrics, tail, traffic
from responses_api.index_entry import STREAM_FIELD, IndexEntry, decode, stream_key
from responses_api.models import ResponseIndex, TrafficBucket

log = structlog.get_logger(__name__)

LOCK_SECONDS = 10
BATCH_SIZE = 1000
# What arrives meanwhile is for the next drain, a second later.
MAX_BATCHES = 100
# A value beyond its column's range, found out by Python, SQLite or PostgreSQL.
_UNFIT = (OverflowError, ValueError, DataError)

_KEPT_ON_CONFLICT = {"id", "deleted_at"}
_UPDATED = [field.name for field in ResponseIndex._meta.concrete_fields if field.name not in _KEPT_ON_CONFLICT]

_MAX_LENGTHS = {
    field.name: field.max_length for field in ResponseIndex._meta.concrete_fields if field.max_length is not None
}


@dataclass(slots=True)
class Drained:
    """`written` and `rejected` entries; `is_locked`: another worker was at it."""

    written: int = 0
    rejected: int = 0
    is_locked: bool = False


def drain(client: Any, key_prefix: str, *, batch_size: int = BATCH_SIZE) -> Drained:
    """Empties the stream, up to `MAX_BATCHES`. `client` is a sync redis client; raises what Redis and SQL raise.

    `LockError`: its lock ran out while it worked; what it had not committed is left to the other.
    """
    result = Drained()
    lock = client.lock(f"{key_prefix}index:lock", timeout=LOCK_SECONDS, blocking=False)
    if not lock.acquire():
        result.is_locked = True
        return result
    try:
        for _ in range(MAX_BATCHES):
            raw = client.xrange(stream_key(key_prefix), count=batch_size)
            if not raw:
                break
            _drain_batch(client, lock, key_prefix, raw, result)
    finally:
        with suppress(LockError):  # it ran out: by now it is another's
            lock.release()
    return result


def _drain_batch(
    client: Any, lock: Lock, key_prefix: str, raw: list[tuple[bytes, dict[bytes, bytes]]], result: Drained
) -> None:
    rejected_before = result.rejected
    entries = [entry for _, fields in raw if (entry := _decode(fields, result)) is not None]
    with transaction.atomic():
        count_and_write(entries, result)
        # Asked last: a drain that slept through its lock would write old entries over the rows of its successor. One
        # that takes over after this waits for the same rows until the commit.
        lock.reacquire()
    client.xdel(stream_key(key_prefix), *(stream_id for stream_id, _ in raw))
    tail.show(client, key_prefix, entries)
    result.written += len(raw) - (result.rejected - rejected_before)
    metrics.INDEX_DRAINED.inc(len(raw))


def count_and_write(entries: Iterable[IndexEntry], result: Drained) -> None:
    """Adds them to the buckets and writes their rows, in one transaction. Nobody else may be at it."""
    ended = _ended_among(entries)
    news = _in_order(entries, ended)
    with transaction.atomic():
        _add_to_buckets(news, ended)
        _write_what_fits(news, result)


def write(entries: Iterable[IndexEntry]) -> None:
    """Upserts rows in one transaction; of several entries for one id the last holds, and deleted stays deleted."""
    rows: dict[str, ResponseIndex] = {}
    deleted: set[str] = set()
    for entry in entries:
        if entry.op == "delete":
            deleted.add(entry.id)
        else:
            rows[entry.id] = row_of(entry)
    with transaction.atomic():
        ResponseIndex.objects.bulk_create(
            rows.values(), update_conflicts=True, update_fields=_UPDATED, unique_fields=["id"], batch_size=500
        )
        if deleted:
            ResponseIndex.objects.filter(id__in=deleted, deleted_at=None).update(deleted_at=timezone.now())


def sweep(now: datetime, *, batch_size: int = BATCH_SIZE) -> int:
    """Deletes the rows of responses that have expired, and old buckets; how many rows. In batches, so that no lock is
    held for long."""
    for seconds, kept in traffic.SPANS.items():
        TrafficBucket.objects.filter(seconds=seconds, start__lt=int(now.timestamp()) - kept).delete()
    total = 0
    while expired := list(
        ResponseIndex.objects.filter(expires_at__lt=now).order_by().values_list("id", flat=True)[:batch_size]
    ):
        total += ResponseIndex.objects.filter(id__in=expired).delete()[0]
    return total


def _decode(fields: dict[bytes, bytes], result: Drained) -> IndexEntry | None:
    try:
        return decode(fields[STREAM_FIELD.encode()])
    except (KeyError, ValueError) as error:  # msgspec's and Unicode's errors are ValueErrors
        _reject(error, result)
        return None


def _write_what_fits(entries: list[IndexEntry], result: Drained) -> None:
    """One poisonous entry must not keep its batch, and all behind it, from ever being written."""
    try:
        write(entries)
    except _UNFIT:
        for entry in entries:
            try:
                write([entry])
            except _UNFIT as error:
                _reject(error, result)


def _ended_among(entries: Iterable[IndexEntry]) -> dict[str, str]:
    """Id → status of those whose rows tell already how they ended."""
    ids = {_fitting(entry.id, _MAX_LENGTHS["id"]) for entry in entries}
    ended = ResponseIndex.objects.filter(id__in=ids, status__in=traffic.ENDED).order_by()
    return dict(ended.values_list("id", "status"))


def _in_order(entries: Iterable[IndexEntry], ended: Mapping[str, str]) -> list[IndexEntry]:
    """Without news of what has ended by now: they came late, or of an attempt that another made good."""
    over, found = set(ended), []
    for entry in entries:
        is_end = entry.op == "delete" or entry.status in traffic.ENDED
        if is_end or entry.id not in over:
            found.append(entry)
        if is_end:
            over.add(entry.id)
    return found


def _add_to_buckets(entries: Iterable[IndexEntry], ended: Mapping[str, str]) -> None:
    added = {_cut(key): value for key, value in traffic.by_bucket(entries, ended).items()}
    known = TrafficBucket.objects.filter(start__in={start for _, start, _, _ in added})
    rows = {(row.seconds, row.start, row.dimension, row.name): row for row in known}
    for key, value in added.items():
        row = rows.get(key)
        if row is None:
            seconds, start, dimension, name = key
            row = rows[key] = TrafficBucket(seconds=seconds, start=start, dimension=dimension, name=name)
        else:
            value.merge(traffic.decode(row.traffic))
        row.traffic = traffic.encode(value)
    TrafficBucket.objects.bulk_create(
        [rows[key] for key in added],
        update_conflicts=True,
        update_fields=["traffic"],
        unique_fields=["seconds", "dimension", "start", "name"],
        batch_size=200,
    )


def _cut(key: traffic.Key) -> traffic.Key:
    seconds, start, dimension, name = key
    return seconds, start, dimension, _fitting(name, 200)


def _fitting(text: str, max_length: int) -> str:
    """SQLite would take longer text, or a NUL; PostgreSQL refuses the whole batch."""
    return text[:max_length].replace("\x00", "")


def _reject(error: Exception, result: Drained) -> None:
    result.rejected += 1
    metrics.INDEX_REJECTED.inc()
    log.warning("index_entry_rejected", reason=str(error))


def row_of(entry: IndexEntry) -> ResponseIndex:
    """As it is in the index, or will be. Raises one of Python's errors for times that are none."""
    fields = {name: getattr(entry, name) for name in entry.__struct_fields__ if name != "op"}
    for name, max_length in _MAX_LENGTHS.items():
        fields[name] = _fitting(fields[name], max_length)
    fields["created_at"] = datetime.fromtimestamp(entry.created_at, UTC)
    fields["expires_at"] = None if entry.expires_at is None else datetime.fromtimestamp(entry.expires_at, UTC)
    return ResponseIndex(**fields)

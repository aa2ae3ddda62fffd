"""A stream in a real Valkey, and the few words these tests use for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from responses_api.config.schema import RedisConfig
from responses_api.index_entry import STREAM_FIELD, IndexEntry, encode, stream_key
from responses_api.redis.sync import sync_client


class Stream:
    """The index stream of one test."""

    def __init__(self, client: Any, key_prefix: str) -> None:
        self.client = client
        self.key_prefix = key_prefix
        self.key = stream_key(key_prefix)

    def add(self, *entries: IndexEntry) -> None:
        self.add_raw(*map(encode, entries))

    def add_raw(self, *values: bytes, field: str = STREAM_FIELD) -> None:
        pipeline = self.client.pipeline()
        for value in values:
            pipeline.xadd(self.key, {field: value})
        pipeline.execute()

    def __len__(self) -> int:
        return int(self.client.xlen(self.key))


@pytest.fixture
def stream(redis_config: RedisConfig) -> Iterator[Stream]:
    client = sync_client(redis_config)
    stream = Stream(client, redis_config.key_prefix)
    yield stream
    client.delete(stream.key, f"{redis_config.key_prefix}index:lock")
    client.close()

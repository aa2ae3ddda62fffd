"""Responses in Milvus, for those who run one already: the same contract, with limits (docs/milvus.md).

A response is the rows of its text's parts, since a text field holds 64 KiB. Milvus knows no insert-if-absent and no TTL
of a row: of two creates of one id at once exactly one wins within a process only, and what has expired is hidden, then
swept. Its client blocks, and is called in threads.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
import structlog
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from responses_api import metrics
from responses_api.config.schema import MilvusConfig
from responses_api.errors import StoreUnavailable

T = TypeVar("T")
log = structlog.get_logger(__name__)

PART_CHARS = 16_000
"""Four bytes each at most: under the 65,535 that a field may have."""
THREADS = 8
SWEEP_SECONDS = 60.0
_FIELDS = ["owner", "part", "value"]
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")


class MilvusStore:
    """A `Store`. Build it on the event loop that uses it; `aclose` when done."""

    name = "milvus"
    survives_restart = True

    def __init__(self, config: MilvusConfig, clock: Callable[[], float] = time.time) -> None:
        self.healthy = True
        self._config = config
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, "milvus")
        self._opening = asyncio.Lock()
        self._creating: dict[str, asyncio.Lock] = {}
        self._client: MilvusClient | None = None
        self._swept_at = 0.0

    async def create(self, response_id: str, value: bytes, ttl_seconds: int) -> bool:
        lock = self._creating.setdefault(response_id, asyncio.Lock())
        try:
            async with lock:
                found = (await self.get([response_id]))[0]
                if found is not None:
                    return found == value
                await self._call("create", self._insert, response_id, value.decode(), ttl_seconds)
                return True
        finally:
            if not lock.locked():
                self._creating.pop(response_id, None)

    async def get(self, response_ids: Sequence[str]) -> list[bytes | None]:
        known = [each for each in response_ids if _ID.match(each)]
        found = await self._call("get", self._read, known) if known else {}
        return [found.get(each) for each in response_ids]

    async def exist(self, response_ids: Sequence[str]) -> bool:
        return None not in await self.get(response_ids)

    async def delete(self, response_id: str) -> bool:
        if (await self.get([response_id]))[0] is None:
            return False
        await self._call("delete", self._delete, f"owner == {json.dumps(response_id)}")
        return True

    async def ping(self) -> None:
        await self._call("ping", lambda client: client.has_collection(self._config.collection))

    async def aclose(self) -> None:
        if self._client is not None:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._client.close)
        self._threads.shutdown(wait=False)

    # -- in threads ----------------------------------------------------------------------------------------------

    def _insert(self, client: MilvusClient, response_id: str, text: str, ttl_seconds: int) -> None:
        now = int(self._clock())
        expires_at = now + ttl_seconds if ttl_seconds else 0
        parts = [text[start : start + PART_CHARS] for start in range(0, len(text), PART_CHARS)] or [""]
        rows = [
            {
                "id": f"{response_id}/{number}",
                "owner": response_id,
                "part": number,
                "value": part,
                "expires_at": expires_at,
                # Milvus wants a vector in each row.
                "nothing": [0.0, 0.0],
            }
            for number, part in enumerate(parts)
        ]
        client.upsert(self._config.collection, rows)
        if now - self._swept_at > SWEEP_SECONDS:
            self._swept_at = now
            self._delete(client, f"expires_at > 0 and expires_at <= {now}")

    def _read(self, client: MilvusClient, response_ids: Sequence[str]) -> dict[str, bytes]:
        listed = json.dumps(list(response_ids))
        alive = f"(expires_at == 0 or expires_at > {int(self._clock())})"
        rows = client.query(self._config.collection, filter=f"owner in {listed} and {alive}", output_fields=_FIELDS)
        parts: dict[str, list[tuple[int, str]]] = {}
        for row in rows:
            parts.setdefault(row["owner"], []).append((row["part"], row["value"]))
        return {owner: "".join(text for _, text in sorted(each)).encode() for owner, each in parts.items()}

    def _delete(self, client: MilvusClient, matching: str) -> None:
        client.delete(self._config.collection, filter=matching)

    def _open(self) -> MilvusClient:
        config = self._config
        client = MilvusClient(
            config.address,
            user=config.username,
            password=config.password,
            db_name=config.database,
            timeout=config.timeout,
        )
        if not client.has_collection(config.collection):
            schema = MilvusClient.create_schema(auto_id=False)
            schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=160)
            schema.add_field("owner", DataType.VARCHAR, max_length=128)
            schema.add_field("part", DataType.INT64)
            schema.add_field("value", DataType.VARCHAR, max_length=65_535)
            schema.add_field("expires_at", DataType.INT64)
            schema.add_field("nothing", DataType.FLOAT_VECTOR, dim=2)
            index = MilvusClient.prepare_index_params()
            index.add_index("nothing", index_type="FLAT", metric_type="L2")
            client.create_collection(config.collection, schema=schema, index_params=index, consistency_level="Strong")
        return client

    # -- from the loop -------------------------------------------------------------------------------------------

    async def _call(self, operation: str, work: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with self._opening:
                if self._client is None:
                    self._client = await loop.run_in_executor(self._threads, self._open)
            answer = await loop.run_in_executor(self._threads, work, self._client, *arguments)
        except (MilvusException, grpc.RpcError, OSError) as error:
            self.healthy = False
            metrics.STORE_ERRORS.labels(operation).inc()
            log.warning("milvus_failed", operation=operation, reason=str(error)[:300])
            raise StoreUnavailable(f"milvus: {type(error).__name__}") from error
        self.healthy = True
        return answer

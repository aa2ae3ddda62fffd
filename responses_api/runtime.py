"""Builds the parts from the configuration and joins them; one per event loop, `aclose` at its end."""

from __future__ import annotations

from contextlib import suppress

from responses_api.accounting import Accounting
from responses_api.backends.catalog import ModelCatalog
from responses_api.backends.client import BackendClient
from responses_api.backends.fleet import Fleet
from responses_api.backends.health import Health, ReadListed
from responses_api.backends.registry import Registry
from responses_api.backends.tokenizer import Tokenizer
from responses_api.background.endings import Endings
from responses_api.background.runs import BackgroundRuns
from responses_api.background.shapes import Enqueue
from responses_api.background.worker import BackgroundWorker
from responses_api.cache.filing_queue import File
from responses_api.cache.service import ResponseCache
from responses_api.cache_control import CacheControl
from responses_api.cached_chat import CachedPassthrough
from responses_api.cached_responses import CachedResponses
from responses_api.compaction import Compactor
from responses_api.config.schema import RouterConfig
from responses_api.conversations import Conversations
from responses_api.engine import Engine
from responses_api.index_writer import IndexWriter
from responses_api.limits import Limits
from responses_api.passthrough import Passthrough
from responses_api.places import Places
from responses_api.prompts import Prompts
from responses_api.redis.pool import CONNECTION_ERRORS, RedisPool
from responses_api.references import References
from responses_api.repeats import Repeats
from responses_api.sealed_items import SealedItems
from responses_api.sealing import Sealer
from responses_api.stored_responses import StoredResponses
from responses_api.stores.base import ConversationStore, Store
from responses_api.stores.encrypted import EncryptedConversations, EncryptedStore
from responses_api.stores.memory import MemoryStore
from responses_api.stores.memory_conversations import MemoryConversations
from responses_api.stores.redis import RedisStore
from responses_api.stores.redis_conversations import RedisConversations
from responses_api.stores.redis_runs import RedisRuns
from responses_api.vault import vault_of
from responses_api.windows import Windows


class Runtime:
    """Everything a request needs. Build it on the loop that uses it."""

    def __init__(
        self,
        config: RouterConfig,
        enqueue: Enqueue | None = None,
        file: File | None = None,
        read_listed: ReadListed | None = None,
    ) -> None:
        """`enqueue` puts background runs into the workers' queue; without, whoever looks after runs does.

        `file` has the workers file answers in the cache; `read_listed` gives the backends that the console lists.
        """
        api = config.response_api
        self.config = config
        self.pool = _pool(config)
        self.vault = vault_of(config.encryption_keys)
        self.store, conversations = self._stores()
        if self.vault.is_on:
            self.store = EncryptedStore(self.store, self.vault)
            conversations = EncryptedConversations(conversations, self.vault)
        self.registry = Registry(config)
        self.catalog = ModelCatalog(self.registry)
        self.fleet = Fleet(self.registry, config.routing)
        self.health = Health(self.fleet, self.pool, read_listed)
        self.client = BackendClient(self.fleet)
        self.index = IndexWriter(self.pool, config.index.max_backlog)
        self.limits = Limits(config.limits, self.pool)
        self.places = Places(self.pool, fail_open=config.limits.fail_open)
        self.accounting = Accounting(config, self.index, self.limits)
        self.stored = StoredResponses(
            self.store,
            api.ttl_seconds,
            self.index,
            include_instructions=api.input_items_include_instructions,
        )
        self.conversations = Conversations(conversations)
        self.sealed = SealedItems(Sealer(config.sealing_secrets))
        self.prompts = Prompts(
            self.store,
            self.conversations,
            References(self.stored, self.conversations),
            self.sealed,
            max_chain_responses=config.max_chain_responses,
            chain_cache_bytes=config.chain_cache_bytes,
        )
        self.engine = Engine(
            config,
            self.store,
            self.stored,
            self.conversations,
            self.prompts,
            self.sealed,
            self.fleet,
            self.client,
            self.accounting,
        )
        self.cache = ResponseCache(config, self.pool, file, self.vault) if self.pool is not None else None
        self.cached = CachedResponses(self.engine, self.registry, self.cache)
        self.cache_control = CacheControl(self.cached, self.cache, config.model_config)
        self.repeats = Repeats(self.cache, self.stored, self.index, self.accounting)
        self.passthrough = Passthrough(self.fleet, self.client, self.index, self.accounting)
        self.cached_passthrough = CachedPassthrough(self.passthrough, self.registry, self.cache)
        self.tokenizer = Tokenizer()
        self.windows = Windows(self.engine, Compactor(self.sealed, self.engine.ask), self.tokenizer, self.accounting)
        endings = Endings(self._runs(), self.stored, self.conversations, self.accounting)
        self.background = BackgroundRuns(
            config.background,
            endings,
            self.engine,
            self.stored,
            self.conversations,
            self.accounting,
            enqueue,
        )
        self.background_worker = BackgroundWorker(
            config.background, endings, self.engine, self.stored, self.accounting, self.places
        )

    async def warm_up(self) -> None:
        """What need not wait for the first request. Redis may be away: requests will say so."""
        self.health.start()
        if self.pool is not None:
            with suppress(*CONNECTION_ERRORS):
                await self.pool.warm_up()

    async def aclose(self) -> None:
        await self.health.aclose()
        await self.cached.aclose()
        await self.cached_passthrough.aclose()
        if self.cache is not None:
            await self.cache.aclose()
        await self.catalog.aclose()
        await self.tokenizer.aclose()
        await self.client.aclose()
        await self.store.aclose()
        self.index.send_kept()
        if self.pool is not None:
            await self.pool.aclose()

    def _stores(self) -> tuple[Store, ConversationStore]:
        api = self.config.response_api
        if api.store_backend == "milvus" and self.pool is not None:
            # An extra, which few install.
            from responses_api.stores.milvus import MilvusStore

            return MilvusStore(api.milvus), RedisConversations(self.pool)
        if api.store_backend == "redis" and self.pool is not None:
            return RedisStore(self.pool), RedisConversations(self.pool)
        return MemoryStore(api.max_responses), MemoryConversations(api.max_responses)

    def _runs(self) -> RedisRuns | None:
        api, background = self.config.response_api, self.config.background
        if api.store_backend != "redis" or self.pool is None:
            return None
        log_bounds = (background.event_log_seconds, background.event_log_max_bytes)
        return RedisRuns(self.pool, api.ttl_seconds, *log_bounds, self.vault)


def _pool(config: RouterConfig) -> RedisPool | None:
    api = config.response_api
    return RedisPool(api.redis) if api.uses_redis else None

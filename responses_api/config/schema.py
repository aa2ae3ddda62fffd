"""The router's configuration, key by key, as frozen dataclasses.

Field names are the keys of `config/config.yaml`, in the spelling of vLLM semantic-router where it has them. Every
time is in seconds unless the name says otherwise. Defaults are the documented ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

StoreBackend = Literal["memory", "redis", "milvus"]
BackendApi = Literal["chat", "responses"]
CacheDefault = Literal["on", "off"]
LbPolicy = Literal["weighted", "least_busy"]
MaxTokensField = Literal["max_completion_tokens", "max_tokens"]

DAY_SECONDS = 86_400
MEMORY_TTL_SECONDS = DAY_SECONDS
REDIS_TTL_SECONDS = 30 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class RedisConfig:
    """How to reach Redis. `address` empty means: `REDIS_URL`, or the embedded server that `./run` starts."""

    address: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    db: int = 0
    key_prefix: str = "sr:"
    pool_size: int = 10
    min_idle_conns: int = 2
    max_retries: int = 3
    dial_timeout: float = 5
    read_timeout: float = 3
    write_timeout: float = 3
    cluster_mode: bool = False
    cluster_addresses: tuple[str, ...] = ()
    tls_enabled: bool = False
    tls_cert_path: str = ""
    tls_key_path: str = ""
    tls_ca_path: str = ""
    config_path: str = ""


@dataclass(frozen=True, slots=True)
class MilvusConfig:
    """How to reach Milvus, where `store_backend` is that. Redis is needed beside it."""

    address: str = "http://localhost:19530"
    """Or the path of a file that ends in `.db`: Milvus Lite, for one process."""
    username: str = ""
    password: str = field(default="", repr=False)
    database: str = "default"
    collection: str = "responses"
    timeout: float = 5


@dataclass(frozen=True, slots=True)
class ResponseApiConfig:
    """The Responses API and where its state lives."""

    enabled: bool = True
    store_backend: StoreBackend = "memory"
    ttl_seconds: int = MEMORY_TTL_SECONDS
    """How long a stored response lives; 0 = never expires. Absent: 24 h for memory, 30 days for redis."""
    max_responses: int = 1000
    """Bound of the memory store; the oldest goes first."""
    inherit_instructions: bool = False
    """True restores semantic-router's behaviour: a follow-up without instructions takes its predecessor's."""
    input_items_include_instructions: bool = True
    """False gives OpenAI's list: `input_items` without the instructions as a trailing `system` message."""
    include_output_text: bool = True
    """Top-level `output_text` in JSON bodies, as the documented examples show; clients that add it ignore ours."""
    redis: RedisConfig = field(default_factory=RedisConfig)
    milvus: MilvusConfig = field(default_factory=MilvusConfig)

    @property
    def uses_redis(self) -> bool:
        """A memory store may do without; where an address is known, index, cache and limits live there all the same."""
        return self.store_backend != "memory" or bool(self.redis.address or self.redis.cluster_addresses)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds on one backend call. Exceeding one is a 504 that names it."""

    connect_timeout: float = 5
    first_byte_timeout: float = 300
    """From the request sent to the first byte of the answer's headers: for a JSON answer, the whole generation."""
    idle_timeout: float = 60
    """Longest silence between two packets of an answer that has begun."""


@dataclass(frozen=True, slots=True)
class VllmEndpoint:
    """One address of a self-hosted server; its API is at `http://{address}:{port}/v1`."""

    name: str
    address: str
    port: int
    weight: int = 1
    api: BackendApi = "chat"


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """Any OpenAI-compatible service by its base URL."""

    name: str
    base_url: str
    api_key: str = field(default="", repr=False)
    models: tuple[str, ...] = ()
    """The models it serves; empty = any."""
    weight: int = 1
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    api: BackendApi = "chat"
    """What `POST /v1/responses` becomes there: a Chat Completions request, or itself with its history resolved."""
    max_tokens_field: MaxTokensField = "max_completion_tokens"
    """How this backend wants `max_output_tokens` named; older servers (Ollama) know only `max_tokens`."""
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True, slots=True)
class Price:
    """Per million tokens, in whatever money you reckon in."""

    input: float = 0
    output: float = 0

    def micros(self, input_tokens: int, output_tokens: int) -> int:
        """What so many tokens cost, in millionths of that money."""
        return round(input_tokens * self.input + output_tokens * self.output)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Where one model is served, and what it costs."""

    preferred_endpoints: tuple[str, ...] = ()
    served_as: str = ""
    """What backends call it, where that is another name; clients are told theirs."""
    price: Price | None = None
    """Monthly budgets in money count it; what the cache saves is also told in money where it is known."""


@dataclass(frozen=True, slots=True)
class RoutingConfig:
    """Which of several endpoints serves a request, and what becomes of those that fail."""

    lb_policy: LbPolicy = "weighted"
    """weighted: by their weights; least_busy: the one with the fewest calls in progress for its weight."""
    sticky: bool = True
    """A follow-up goes where its conversation was served before, whose prefix cache is warm, while that is well."""
    max_tries: int = 3
    """Endpoints that one request may be tried on, until the first byte of its answer."""
    breaker_failures: int = 5
    """So many failures in a row stop an endpoint from being asked."""
    breaker_error_share: float = 0.5
    """And such a share of failures among its latest calls, twenty at least; 1 = never."""
    breaker_pause: float = 2
    """How long it is not asked; then one call tries. Doubled with each trial that fails."""
    breaker_max_pause: float = 30
    slow_first_byte: float = 0
    """A stream that begins later than this counts as a failure; 0 = however late."""
    probe_interval: float = 5
    """How often endpoints are asked for their models, by one process for all; 0 = never. Two silences in a row stop
    an endpoint from being asked, an answer lets it be."""
    probe_timeout: float = 2


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """The SQL index of responses that the console lists."""

    max_backlog: int = 500_000
    """Entries that may wait in Redis for the worker; past it the oldest are dropped."""
    retention_seconds: int = 30 * DAY_SECONDS
    """How long the row of a request that stored nothing is kept."""


MAX_PRIORITY = 9
"""Of a queue: 0 is the first, this the last."""


@dataclass(frozen=True, slots=True)
class BackgroundConfig:
    """Runs with `background: true`. They live in Redis, owned by leases, and need `store_backend: redis`."""

    lease_seconds: float = 10
    """A worker that is silent for so long has lost its runs."""
    max_attempts: int = 3
    """How often a run is begun before it is marked failed. One whose stream has said something is not begun again."""
    event_log_seconds: int = 1800
    """How long the events of a streamed run can be replayed; at least 600."""
    event_log_max_bytes: int = 16 * 1024 * 1024
    """Of one run's events; past it the older half goes."""
    tier_priorities: Mapping[str, int] = field(
        default_factory=lambda: {"priority": 0, "auto": 3, "default": 3, "scale": 3, "flex": 6}
    )
    """`service_tier` → the queue's priority, 0 (first) to 9."""


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Limits of projects and keys, which are set in the console."""

    fail_open: bool = True
    """True lets requests in while Redis is away; false answers them with a 503."""


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """How many tasks of a queue run at once in each worker process."""

    interactive: int = 64
    """Background runs: they wait for backends, so there may be many."""
    upkeep: int = 8
    """Cache writes, index and sweeps together."""


@dataclass(frozen=True, slots=True)
class WebSocketConfig:
    """`GET /v1/responses` as a WebSocket."""

    max_seconds: float = 3600
    """A connection's life; past it the client is told to open another."""
    max_waiting: int = 16
    """Requests of one connection that may wait for the one in progress."""


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """How the ends of background runs are told to the endpoints that projects set up."""

    allow_private_addresses: bool = False
    """True also sends to loopback and private networks, and by plain http: whoever may set up an endpoint can then
    make this server call its neighbours."""
    timeout: float = 10
    """For one attempt, from the connection to the status."""
    max_attempts: int = 10
    """Of one delivery, with growing pauses; ten take about three days."""
    retention_seconds: int = 30 * DAY_SECONDS
    """How long the record of a finished delivery is kept."""


@dataclass(frozen=True, slots=True)
class ResponseCacheConfig:
    """Answers that are given again. They live in Redis, whatever the store is."""

    enabled: bool = True
    default: CacheDefault = "off"
    """off: only requests that name a cache key (`x-cache-key`) are cached, as with Bifrost's plugin; on: all."""
    ttl_seconds: int = 300
    max_ttl_seconds: int = DAY_SECONDS
    """A longer `x-cache-ttl` is cut to it."""
    stale_seconds: int = 3600
    """How much longer an entry is kept, for requests that accept a stale one."""
    max_entry_bytes: int = 1024 * 1024
    """Of question and answer together, uncompressed; larger ones are not kept."""
    max_bytes_per_project: int = 256 * 1024 * 1024
    """In Redis, compressed; beyond it the least recently used entries go."""
    cache_by_model: bool = True
    """False: the same question to another model may have the same answer."""
    cache_by_provider: bool = True
    """False: an entry outlives a change of the backends that serve its model."""
    key_prefix: str = ""
    """Of the cache's keys; empty: that of `response_api.redis`, then `cache:`."""
    memory_bytes: int = 32 * 1024 * 1024
    """Of the entries that a process keeps beside Redis' own; 0 = none."""


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """Everything `ROUTER_CONFIG` says, after `${VAR}` expansion, `config_path` and defaults."""

    response_api: ResponseApiConfig = field(default_factory=ResponseApiConfig)
    vllm_endpoints: tuple[VllmEndpoint, ...] = ()
    backends: tuple[BackendConfig, ...] = ()
    model_config: Mapping[str, ModelConfig] = field(default_factory=dict)
    routing: RoutingConfig = field(default_factory=RoutingConfig)
    index: IndexConfig = field(default_factory=IndexConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    workers: WorkerConfig = field(default_factory=WorkerConfig)
    websocket: WebSocketConfig = field(default_factory=WebSocketConfig)
    webhooks: WebhookConfig = field(default_factory=WebhookConfig)
    response_cache: ResponseCacheConfig = field(default_factory=ResponseCacheConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    """For what is kept in Redis: the first encrypts, all decrypt. Empty: it is kept as it is."""
    sealing_secrets: tuple[str, ...] = field(default=(), repr=False)
    """For what clients carry sealed (compacted history, encrypted reasoning): the first seals, all open. Empty: one
    made from SECRET_KEY."""
    timeouts: Timeouts = field(default_factory=Timeouts)
    """For `vllm_endpoints`, and the default for `backends`."""
    max_in_flight: int = 4000
    """Requests that one web process serves at once; what would ask a backend beyond them is a 503 with retry-after."""
    max_body_bytes: int = 32 * 1024 * 1024
    """A larger request body is a 413."""
    max_chain_responses: int = 10_000
    """A chain with more ancestors is refused."""
    chain_cache_bytes: int = 32 * 1024 * 1024
    """Links of chains that a process keeps decoded; 0 = none. They are used only while the store still has them."""

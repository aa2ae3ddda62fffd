"""The router's configuration, key by key, as frozen dataclasses.

Field names are the keys of `config/config.yaml`, in the spelling of vLLM semantic-router where it has them. Every
time is in seconds unless the name says otherwise. Defaults are the documented ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

StoreBackend = Literal["memory", "redis", "milvus"]
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
    max_tokens_field: MaxTokensField = "max_completion_tokens"
    """How this backend wants `max_output_tokens` named; older servers (Ollama) know only `max_tokens`."""
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Where one model is served."""

    preferred_endpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """The SQL index of responses that the console lists."""

    max_backlog: int = 500_000
    """Entries that may wait in Redis for the worker; past it the oldest are dropped."""
    retention_seconds: int = 30 * DAY_SECONDS
    """How long the row of a request that stored nothing is kept."""


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """Everything `ROUTER_CONFIG` says, after `${VAR}` expansion, `config_path` and defaults."""

    response_api: ResponseApiConfig = field(default_factory=ResponseApiConfig)
    vllm_endpoints: tuple[VllmEndpoint, ...] = ()
    backends: tuple[BackendConfig, ...] = ()
    model_config: Mapping[str, ModelConfig] = field(default_factory=dict)
    index: IndexConfig = field(default_factory=IndexConfig)
    timeouts: Timeouts = field(default_factory=Timeouts)
    """For `vllm_endpoints`, and the default for `backends`."""
    max_body_bytes: int = 32 * 1024 * 1024
    """A larger request body is a 413."""
    max_chain_responses: int = 10_000
    """A chain with more ancestors is refused."""
    chain_cache_bytes: int = 32 * 1024 * 1024
    """Links of chains that a process keeps decoded; 0 = none. They are used only while the store still has them."""

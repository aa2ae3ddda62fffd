"""The documentation's configuration examples mean here what they mean there."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from responses_api.config import schema
from responses_api.config.errors import ConfigError
from responses_api.config.load import Loaded, load_config

ROOT = Path(__file__).parents[2]


def load(tmp_path: Path, text: str, **environ: str) -> Loaded:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load_config(path, environ)


def test_memory_is_the_default_store_for_a_day(tmp_path: Path) -> None:
    api = load(tmp_path, "response_api: {enabled: true}").config.response_api
    assert (api.store_backend, api.ttl_seconds, api.max_responses) == ("memory", 86_400, 1000)


def test_redis_keeps_for_thirty_days(tmp_path: Path) -> None:
    api = load(tmp_path, "response_api: {store_backend: redis}").config.response_api
    assert api.ttl_seconds == 2_592_000
    redis = api.redis
    assert (redis.pool_size, redis.min_idle_conns, redis.max_retries) == (10, 2, 3)
    assert (redis.dial_timeout, redis.read_timeout, redis.write_timeout) == (5, 3, 3)
    assert (redis.key_prefix, redis.db) == ("sr:", 0)


def test_a_ttl_of_zero_stays_zero(tmp_path: Path) -> None:
    assert load(tmp_path, "response_api: {store_backend: redis, ttl_seconds: 0}").config.response_api.ttl_seconds == 0


STANDALONE = """
response_api:
  enabled: true
  store_backend: "redis"
  ttl_seconds: 604800
  redis:
    address: "redis.local:6380"
    password: "se:cr#et"
    db: 2
    key_prefix: "chat:"
    pool_size: 20
    min_idle_conns: 5
    max_retries: 4
    dial_timeout: 6
    read_timeout: 2
    write_timeout: 1
vllm_endpoints:
  - name: "endpoint1"
    address: "127.0.0.1"
    port: 8002
    weight: 1
model_config:
  "qwen3":
    preferred_endpoints: ["endpoint1"]
"""


def test_a_standalone_server_with_a_backend(tmp_path: Path) -> None:
    loaded = load(tmp_path, STANDALONE)
    redis = loaded.config.response_api.redis
    assert (redis.address, redis.password, redis.db, redis.key_prefix) == ("redis.local:6380", "se:cr#et", 2, "chat:")
    assert (redis.pool_size, redis.dial_timeout, redis.write_timeout) == (20, 6, 1)
    assert loaded.config.vllm_endpoints == (schema.VllmEndpoint("endpoint1", "127.0.0.1", 8002, 1),)
    assert loaded.config.model_config["qwen3"].preferred_endpoints == ("endpoint1",)
    assert loaded.warnings == ()


def test_a_cluster_inline(tmp_path: Path) -> None:
    text = """
response_api:
  store_backend: redis
  redis:
    cluster_mode: true
    cluster_addresses: ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"]
    db: 0
    pool_size: 20
"""
    redis = load(tmp_path, text).config.response_api.redis
    assert redis.cluster_mode
    assert redis.cluster_addresses == ("127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003")


def test_an_external_file_overrides_the_inline_block(tmp_path: Path) -> None:
    (tmp_path / "redis.yaml").write_text('address: "other:1"\npassword: "${REDIS_PASSWORD:-none}"\n')
    text = """
response_api:
  store_backend: redis
  redis: {config_path: redis.yaml, address: "inline:2", key_prefix: "kept:"}
"""
    redis = load(tmp_path, text, REDIS_PASSWORD="from env").config.response_api.redis
    assert (redis.address, redis.password, redis.key_prefix) == ("other:1", "from env", "kept:")
    assert load(tmp_path, text).config.response_api.redis.password == "none"


@pytest.mark.parametrize("name", ["redis-simple", "redis-cluster"])
def test_the_shipped_redis_files_load(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = f"response_api: {{store_backend: redis, redis: {{config_path: config/response-api/{name}.yaml}}}}"
    loaded = load(tmp_path, text)
    assert loaded.warnings == ()
    assert loaded.config.response_api.redis.cluster_mode == (name == "redis-cluster")


def test_the_shipped_production_file_asks_for_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = "response_api: {store_backend: redis, redis: {config_path: config/response-api/redis-production.yaml}}"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert any("REDIS_PASSWORD is not set" in line for line in lines)
    assert any(
        line.startswith("response_api.redis.tls_cert_path = '/etc/ssl/certs/redis-client.crt'") for line in lines
    )


def test_the_shipped_configuration_loads_without_a_warning() -> None:
    loaded = load_config(ROOT / "config" / "config.yaml", {})
    assert loaded.warnings == ()
    assert loaded.config.response_api.store_backend == "redis"


def _field_names(shape: Any) -> set[str]:
    names: set[str] = set()
    for field in fields(shape):
        names.add(field.name)
        for part in (get_type_hints(shape)[field.name], *getattr(get_type_hints(shape)[field.name], "__args__", ())):
            if is_dataclass(part):
                names |= _field_names(part)
    return names


def test_the_shipped_configuration_names_every_key() -> None:
    text = (ROOT / "config" / "config.yaml").read_text()
    named = set(re.findall(r"^[ #-]*([a-z_]+):", text, re.MULTILINE))
    assert _field_names(schema.RouterConfig) - named == set()


def test_what_is_commented_out_stands_at_its_default(tmp_path: Path) -> None:
    text = (ROOT / "config" / "config.yaml").read_text()
    # A key, or an entry of a list; prose has more than one word before its colon.
    uncommented = re.sub(r"""^( *)# ( *(?:- )?["\w]+:(?: |$))""", r"\1\2", text, flags=re.MULTILINE)
    loaded = load(tmp_path, uncommented, OPENAI_API_KEY="sk-x")
    assert loaded.warnings == ()
    shown = loaded.config
    assert shown.response_api.redis == schema.RedisConfig(address="localhost:6379")
    default = schema.ResponseApiConfig(store_backend="redis", ttl_seconds=schema.REDIS_TTL_SECONDS)
    assert replace(shown.response_api, redis=schema.RedisConfig()) == default
    (endpoint,), (backend,) = shown.vllm_endpoints, shown.backends
    assert endpoint == schema.VllmEndpoint(endpoint.name, endpoint.address, endpoint.port)
    assert backend == schema.BackendConfig(backend.name, backend.base_url, api_key="sk-x", models=backend.models)
    for name in {field.name for field in fields(schema.RouterConfig)} - {
        "response_api",
        "vllm_endpoints",
        "backends",
        "model_config",
    }:
        assert getattr(shown, name) == getattr(schema.RouterConfig(), name), name

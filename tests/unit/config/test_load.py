"""What is refused, in which words; what is only warned of; where values come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from responses_api.config.errors import ConfigError
from responses_api.config.load import Loaded, load_config


def load(tmp_path: Path, text: str, **environ: str) -> Loaded:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load_config(path, environ)


def problems(tmp_path: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **environ)
    return str(caught.value).splitlines()


REDIS = "response_api: {store_backend: redis, redis: {%s}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            REDIS % "cluster_mode: true, cluster_addresses: ['a:1'], db: 3",
            "response_api.redis.db = 3: a Redis Cluster has database 0 only. Set db: 0.",
        ),
        (
            REDIS % "cluster_mode: true",
            "response_api.redis.cluster_addresses = []: cluster_mode needs addresses. List some nodes as host:port.",
        ),
        (
            REDIS % "tls_enabled: true, tls_ca_path: /no/such.pem",
            "response_api.redis.tls_ca_path = '/no/such.pem': there is no such file. Correct the path.",
        ),
        (
            "response_api: {store_backend: etcd}",
            "response_api.store_backend = 'etcd': is unknown. Use one of: memory, redis, milvus.",
        ),
        (
            "response_api: {store_backend: milvus}",
            "response_api.store_backend = 'milvus': is not available in this version. Use redis, or memory.",
        ),
        (
            "response_api: {ttl_seconds: -1}",
            "response_api.ttl_seconds = -1: is below 0. Use 0 or more.",
        ),
        (
            "response_api: {ttl_seconds: soon}",
            "response_api.ttl_seconds = 'soon': is not a whole number. Write a whole number.",
        ),
        ("response_api: {enabled: 1}", "response_api.enabled = 1: is not true or false. Write true or false."),
        ("response_api: {ttl_seconds: true}", "response_api.ttl_seconds = True: is not a whole number."),
        ("response_api: [1]", "response_api = [1]: is not a mapping."),
        (REDIS % "address: 'redis://u:hunter2@h:1'", "response_api.redis.address = 'redis://…': is a URL."),
        (REDIS % "address: 'h:99999'", "response_api.redis.address = 'h:99999': is no address."),
        (REDIS % "pool_size: 1, min_idle_conns: 2", "response_api.redis.min_idle_conns = 2: is more than pool_size."),
        (REDIS % "read_timeout: 0", "response_api.redis.read_timeout = 0: is not above 0."),
        (
            REDIS % "config_path: nowhere.yaml",
            "response_api.redis.config_path = 'nowhere.yaml': there is no such file.",
        ),
        (REDIS % "password: [hunter2]", "response_api.redis.password = '****': is not text."),
        ("vllm_endpoints: [{name: a, address: h, port: 0}]", "vllm_endpoints[0].port = 0: is no port."),
        ("vllm_endpoints: [{name: a, port: 1}]", "vllm_endpoints[0].address: is missing. Add it."),
        (
            "vllm_endpoints: [{name: a, address: h, port: 1}, {name: a, address: h, port: 2}]",
            "vllm_endpoints[1].name = 'a': is used twice.",
        ),
        (
            "vllm_endpoints: [{name: a, address: h, port: 1, weight: 0}]",
            "vllm_endpoints[0].weight = 0: no endpoint has any weight.",
        ),
        (
            "vllm_endpoints: [{name: a, address: h, port: 1}]\nmodel_config: {m: {preferred_endpoints: [b]}}",
            "model_config.m.preferred_endpoints[0] = 'b': no endpoint has this name. Use one of: a.",
        ),
        ("backends: [{name: a, base_url: ftp://x}]", "backends[0].base_url = 'ftp://x': is no http URL."),
        ("backends: [{name: a, base_url: 'http://[x'}]", "backends[0].base_url = 'http://[x': is no http URL."),
        (
            'backends: [{name: a, base_url: "http://h/v1", api_key: "x\\ny"}]',
            "backends[0].api_key: has a line break in it. Remove it.",
        ),
        ("timeouts: {idle_timeout: -3}", "timeouts.idle_timeout = -3: is not above 0."),
        (REDIS % "password: '${SECRET}'", "response_api.redis.password = '${SECRET}': the environment variable SECRET"),
    ],
)
def test_what_cannot_work_is_refused_with_key_value_and_remedy(tmp_path: Path, text: str, expected: str) -> None:
    assert any(line.startswith(expected) for line in problems(tmp_path, text)), problems(tmp_path, text)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = "response_api: {ttl_seconds: -1, max_responses: 0}\nmax_body_bytes: 0"
    assert len(problems(tmp_path, text)) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "not valid YAML"),
        ("a: 1\na: 2", "key 'a' is given twice"),
        ("- a", "is not a mapping"),
        ("a: {b: 1, b: 2}", ":1:11"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in problems(tmp_path, text)[0]


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'/no/such\.yaml': cannot be read: No such file"):
        load_config(Path("/no/such.yaml"), {})


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(path, {})


def test_unknown_keys_are_warned_of_by_name(tmp_path: Path) -> None:
    text = """
semantic_cache: {enabled: true}
response_api: {store_backnd: redis, redis: {addres: x}}
vllm_endpoints: [{name: a, address: h, port: 1, health_check_path: /}]
model_config: {m: {preferred_endpoints: [a], reasoning_family: qwen3}}
"""
    assert sorted(load(tmp_path, text).warnings) == [
        "unknown key 'model_config.m.reasoning_family' is ignored",
        "unknown key 'response_api.redis.addres' is ignored; did you mean 'address'?",
        "unknown key 'response_api.store_backnd' is ignored; did you mean 'store_backend'?",
        "unknown key 'semantic_cache' is ignored",
        "unknown key 'vllm_endpoints[0].health_check_path' is ignored",
    ]


def test_variables_become_the_type_their_key_wants(tmp_path: Path) -> None:
    text = """
response_api:
  store_backend: "${STORE:-redis}"
  ttl_seconds: "${TTL:-60}"
  redis: {password: "a${X}b", read_timeout: "${T:-1.5}", tls_enabled: "${TLS:-false}"}
"""
    api = load(tmp_path, text, X="#: '", TTL="70").config.response_api
    assert (api.store_backend, api.ttl_seconds) == ("redis", 70)
    assert (api.redis.password, api.redis.read_timeout, api.redis.tls_enabled) == ("a#: 'b", 1.5, False)


def test_an_empty_variable_takes_its_default_or_is_empty(tmp_path: Path) -> None:
    text = REDIS % "password: '${A:-x}', username: '${B}'"
    redis = load(tmp_path, text, A="", B="").config.response_api.redis
    assert (redis.password, redis.username) == ("x", "")


def test_redis_url_wins_over_the_block(tmp_path: Path) -> None:
    text = REDIS % "address: 'inline:1', password: inline, key_prefix: 'p:'"
    redis = load(tmp_path, text, REDIS_URL="rediss://me:p%40ss@[::1]:7000/3").config.response_api.redis
    assert (redis.address, redis.username, redis.password, redis.db) == ("[::1]:7000", "me", "p@ss", 3)
    assert redis.tls_enabled
    assert redis.key_prefix == "p:"


def test_redis_url_leaves_a_cluster_alone(tmp_path: Path) -> None:
    text = REDIS % "cluster_mode: true, cluster_addresses: ['a:1']"
    assert load(tmp_path, text, REDIS_URL="redis://broker:1/0").config.response_api.redis.address == ""


@pytest.mark.parametrize("url", ["unix:///tmp/x", "http://h", "redis://h:port", "redis://h/x", "nonsense"])
def test_a_wrong_redis_url_is_refused(tmp_path: Path, url: str) -> None:
    assert any(line.startswith("REDIS_URL = ") for line in problems(tmp_path, "", REDIS_URL=url))


def test_the_demo_backend_serves_where_none_is_configured(tmp_path: Path) -> None:
    demo = "http://127.0.0.1:8002/v1"
    assert [each.name for each in load(tmp_path, "", ROUTER_DEMO_URL=demo).config.backends] == ["demo"]
    configured = "vllm_endpoints: [{name: a, address: h, port: 1}]"
    assert load(tmp_path, configured, ROUTER_DEMO_URL=demo).config.backends == ()


def test_a_backend_inherits_the_timeouts_it_does_not_set(tmp_path: Path) -> None:
    text = """
timeouts: {idle_timeout: 7, connect_timeout: 2}
backends: [{name: a, base_url: "http://h/v1", timeouts: {connect_timeout: 1}}]
"""
    timeouts = load(tmp_path, text).config.backends[0].timeouts
    assert (timeouts.connect_timeout, timeouts.idle_timeout, timeouts.first_byte_timeout) == (1, 7, 300)


def test_no_file_is_the_defaults() -> None:
    loaded = load_config(None, {})
    assert loaded.config.response_api.store_backend == "memory"
    assert loaded.warnings == ()


def test_secrets_are_not_in_a_configurations_repr(tmp_path: Path) -> None:
    text = "backends: [{name: a, base_url: 'http://h/v1', api_key: hunter2, headers: {x: hunter2}}]\n" + (
        REDIS % "password: hunter2"
    )
    assert "hunter2" not in repr(load(tmp_path, text).config)

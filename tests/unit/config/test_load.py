"""What is refused, in which words; what is only warned of; where values come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from responses_api.config import check
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
            "response_api: {ttl_seconds: -1}",
            "response_api.ttl_seconds = -1: is below 0. Use 0 or more.",
        ),
        (
            "background: {lease_seconds: 60}",
            "background.lease_seconds = 60: is not between 2 and 20. Use 10.",
        ),
        ("background: {max_attempts: 0}", "background.max_attempts = 0: is below 1. Use 1 or more."),
        ("background: {event_log_seconds: 60}", "background.event_log_seconds = 60: is below 600. Use 600 or more."),
        ("background: {event_log_max_bytes: 1}", "background.event_log_max_bytes = 1: is below 65536."),
        (
            "background: {tier_priorities: {flex: 10}}",
            "background.tier_priorities.flex = 10: is no priority. Use 0 (first) to 9.",
        ),
        ("workers: {interactive: 0}", "workers.interactive = 0: is below 1. Use 1 or more."),
        ("websocket: {max_seconds: 0}", "websocket.max_seconds = 0: is not above 0."),
        ("websocket: {max_waiting: 0}", "websocket.max_waiting = 0: is below 1. Use 1 or more."),
        ("webhooks: {timeout: 0}", "webhooks.timeout = 0: is not above 0."),
        ("webhooks: {max_attempts: 0}", "webhooks.max_attempts = 0: is below 1. Use 1 or more."),
        ("webhooks: {retention_seconds: 0}", "webhooks.retention_seconds = 0: is below 1. Use 1 or more."),
        ("sealing_secrets: [short]", "sealing_secrets[0]: is shorter than 16 characters. Use a long random text."),
        (
            "response_api: {ttl_seconds: soon}",
            "response_api.ttl_seconds = 'soon': is not a whole number. Write a whole number.",
        ),
        ("response_api: {enabled: 1}", "response_api.enabled = 1: is not true or false. Write true or false."),
        ("response_api: {ttl_seconds: true}", "response_api.ttl_seconds = True: is not a whole number."),
        ("response_api: [1]", "response_api: is not a mapping. Write keys with values beneath it."),
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
        (REDIS % "read_timeout: .inf", "response_api.redis.read_timeout = inf: has no end."),
        (REDIS % "read_timeout: .nan", "response_api.redis.read_timeout = nan: is not above 0."),
        (REDIS % "pool_size: 0", "response_api.redis.pool_size = 0: is below 1. Use 1 or more."),
        (REDIS % "address: '::1'", "response_api.redis.address = '::1': is no address."),
        (REDIS % "address: '[1]'", "response_api.redis.address = '[1]': is no address."),
        (REDIS % "address: 'h:'", "response_api.redis.address = 'h:': is no address."),
        (
            REDIS % "cluster_mode: true, cluster_addresses: ['a:1', 'b:x']",
            "response_api.redis.cluster_addresses[1] = 'b:x': is no address.",
        ),
        (
            "vllm_endpoints: [{name: a, address: '10.0.0.1:8002', port: 8002}]",
            "vllm_endpoints[0].address = '10.0.0.1:8002': is no host. Write a host name or an IP address;",
        ),
        ("vllm_endpoints: [{name: '', address: h, port: 1}]", "vllm_endpoints[0].name = '': is empty."),
        ("vllm_endpoints: [{name: a, address: h, port: 65536}]", "vllm_endpoints[0].port = 65536: is no port."),
        (
            "vllm_endpoints: [{name: a, address: h, port: 1, weight: -1}]",
            "vllm_endpoints[0].weight = -1: is below 0.",
        ),
        (
            "vllm_endpoints: [{name: a, address: h, port: 1}]\nbackends: [{name: a, base_url: 'http://h'}]",
            "backends[0].name = 'a': is used twice.",
        ),
        (
            "model_config: {m: {preferred_endpoints: [b]}}",
            "model_config.m.preferred_endpoints[0] = 'b': no endpoint has this name. Add it to vllm_endpoints or",
        ),
        ("backends: [{name: a, base_url: 'http://'}]", "backends[0].base_url = 'http://': is no http URL."),
        (
            "backends: [{name: a, base_url: 'http://h', max_tokens_field: tokens}]",
            "backends[0].max_tokens_field = 'tokens': is unknown. Use one of: max_completion_tokens, max_tokens.",
        ),
        ("backends: {name: a}", "backends: is not a list. Write '- ' before each entry."),
        (REDIS % "password: 12345", "response_api.redis.password = '****': is not text. Write text, in quotes."),
        (REDIS % "password: '${SECRET}'", "response_api.redis.password = '${SECRET}': the environment variable SECRET"),
    ],
)
def test_what_cannot_work_is_refused_with_key_value_and_remedy(tmp_path: Path, text: str, expected: str) -> None:
    assert any(line.startswith(expected) for line in problems(tmp_path, text)), problems(tmp_path, text)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = "response_api: {ttl_seconds: -1, max_responses: 0}\nmax_body_bytes: 0"
    assert len(problems(tmp_path, text)) == 3


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("vllm_endpoints: [{name: a, address: h, port: abc}]", "vllm_endpoints[0].port"),
        ("vllm_endpoints: [{name: a, address: h, port: '${PORT}'}]", "vllm_endpoints[0].port"),
        ("vllm_endpoints: [{name: [a], address: h, port: 1}]", "vllm_endpoints[0].name"),
        ("vllm_endpoints: [{address: h, port: 1}]", "vllm_endpoints[0].name"),
        ("vllm_endpoints: [endpoint1]", "vllm_endpoints[0]"),
        ("vllm_endpoints: [null]", "vllm_endpoints[0]"),
        ("vllm_endpoints: ['${ENDPOINT}']", "vllm_endpoints[0]"),
        (REDIS % "pool_size: many", "response_api.redis.pool_size"),
        (REDIS % "config_path: '${DIRECTORY}/redis.yaml'", "response_api.redis.config_path"),
        ("timeouts: {idle_timeout: -3}\nbackends: [{name: a, base_url: 'http://h'}]", "timeouts.idle_timeout"),
    ],
)
def test_one_mistake_is_one_problem(tmp_path: Path, text: str, key: str) -> None:
    (line,) = problems(tmp_path, text)
    assert line.startswith((f"{key} = ", f"{key}: "))


def test_a_broken_entry_does_not_shift_the_others_names(tmp_path: Path) -> None:
    lines = problems(
        tmp_path, "backends: [x, {name: b, base_url: ftp://h}]\n" + REDIS % "cluster_addresses: [1, 'h:x']"
    )
    assert [line.split(" = ")[0] for line in lines] == [
        "response_api.redis.cluster_addresses[0]",
        "backends[0]",
        "response_api.redis.cluster_addresses[1]",
        "backends[1].base_url",
    ]


def test_half_a_client_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "half.pem").touch()
    for given, missing in [("cert", "key"), ("key", "cert")]:
        text = REDIS % f"tls_enabled: true, tls_{given}_path: '{tmp_path}/half.pem'"
        (line,) = problems(tmp_path, text)
        assert line.startswith(f"response_api.redis.tls_{missing}_path = '': a client certificate needs both halves.")


@pytest.mark.parametrize(("path", "reason"), [("x" * 300, "File name too long"), (".", "Is a directory")])
def test_a_certificate_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path, path: str, reason: str) -> None:
    (line,) = problems(tmp_path, REDIS % f"tls_enabled: true, tls_ca_path: '{path}'")
    assert line.startswith("response_api.redis.tls_ca_path = ")
    assert f": cannot be read: {reason}." in line


@pytest.mark.parametrize("address", ["localhost", "localhost:6379", "10.0.0.1:1", "[::1]", "[fe80::1]:7000"])
def test_an_address_is_a_host_with_or_without_a_port(tmp_path: Path, address: str) -> None:
    assert load(tmp_path, REDIS % f"address: '{address}'").config.response_api.redis.address == address


@pytest.mark.parametrize(
    "text",
    [
        REDIS % "password: {x: hunter2}",
        REDIS % "address: 'me:hunter2@h:6379'",
        "response_api: {redis: [{password: hunter2}]}",
        "response_api: {redis: 'redis://:hunter2@h'}",
        "backends: {name: a, base_url: 'http://h', api_key: hunter2}",
        "backends: [{name: a, base_url: 'http://me:hunter2@h:99999'}]",
        "backends: [{name: a, base_url: 'http://me:x/hunter2@h'}]",
        "backends: [{name: a, base_url: 'http://h', headers: {x-key: [hunter2]}}]",
        "vllm_endpoints: [{name: a, address: 'http://me:hunter2@h', port: 1}]",
    ],
)
def test_no_problem_repeats_a_secret(tmp_path: Path, text: str) -> None:
    assert "hunter2" not in "\n".join(problems(tmp_path, text))


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


def test_a_section_nobody_reads_may_name_unset_variables(tmp_path: Path) -> None:
    text = "semantic_cache: {password: '${MILVUS_PASSWORD}'}\nmodel_config: {m: {access_key: '${KEY}'}}"
    assert len(load(tmp_path, text).warnings) == 2


def test_every_unset_variable_is_named(tmp_path: Path) -> None:
    assert len(problems(tmp_path, REDIS % "address: '${HOST}:${PORT}'")) == 2


@pytest.mark.parametrize(
    ("word", "expected"), [("on", True), ("True", True), ("1", True), ("OFF", False), ("no", False)]
)
def test_a_variable_is_true_or_false_in_many_words(tmp_path: Path, word: str, expected: bool) -> None:
    assert load(tmp_path, "response_api: {enabled: '${X}'}", X=word).config.response_api.enabled is expected


def test_a_redis_file_is_looked_for_here_and_then_beside_the_main_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (tmp_path / "redis.yaml").write_text("address: 'beside:1'")
    text = REDIS % "config_path: '${NAME:-redis}.yaml'"
    assert load(tmp_path, text).config.response_api.redis.address == "beside:1"
    (here / "redis.yaml").write_text("address: 'here:1'")
    assert load(tmp_path, text).config.response_api.redis.address == "here:1"


@pytest.mark.parametrize(
    ("redis_file", "expected"),
    [
        ("config_path: other.yaml", "response_api.redis.config_path = 'redis.yaml': names a config_path itself."),
        ("password: '${PASSWORD}'", "response_api.redis.password = '${PASSWORD}': the environment variable PASSWORD"),
        ("a: [", "response_api.redis.config_path = '"),
        ("- a", "response_api.redis.config_path = '"),
    ],
)
def test_problems_of_the_redis_file_stand_beside_the_others(tmp_path: Path, redis_file: str, expected: str) -> None:
    (tmp_path / "redis.yaml").write_text(redis_file)
    lines = problems(tmp_path, (REDIS % "config_path: redis.yaml") + "\nmax_body_bytes: 0")
    assert len(lines) == 2
    assert lines[0].startswith(expected)
    assert lines[1].startswith("max_body_bytes = 0")


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


def test_an_unknown_timeout_is_warned_of_once(tmp_path: Path) -> None:
    text = "timeouts: {idle: 7}\nbackends: [{name: a, base_url: 'http://h', timeouts: {idle_timeout: null}}]"
    assert len(load(tmp_path, text).warnings) == 1


def test_no_file_is_the_defaults() -> None:
    loaded = load_config(None, {})
    assert loaded.config.response_api.store_backend == "memory"
    assert loaded.warnings == ()


def test_secrets_are_not_in_a_configurations_repr(tmp_path: Path) -> None:
    text = "backends: [{name: a, base_url: 'http://h/v1', api_key: hunter2, headers: {x: hunter2}}]\n" + (
        REDIS % "password: hunter2"
    )
    assert "hunter2" not in repr(load(tmp_path, text).config)


def test_milvus_needs_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("response_api: {store_backend: milvus}")
    assert load_config(file, {}).config.response_api.store_backend == "milvus"
    monkeypatch.setattr(check, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs a package that is not installed\. Install it: pip install 'pymilvus"):
        load_config(file, {})

"""`REDIS_URL` over the `redis` block."""

from __future__ import annotations

from pathlib import Path

import pytest

from responses_api.config.errors import ConfigError
from responses_api.config.load import Loaded, load_config

BLOCK = """
response_api:
  store_backend: redis
  redis: {address: "inline:1", username: u, password: inline, db: 4, tls_enabled: true, key_prefix: "p:"%s}
"""


def load(tmp_path: Path, url: str, more: str = "") -> Loaded:
    path = tmp_path / "config.yaml"
    path.write_text(BLOCK % more)
    return load_config(path, {"REDIS_URL": url})


def test_it_wins_over_the_block(tmp_path: Path) -> None:
    redis = load(tmp_path, "rediss://me:p%40ss@[::1]:7000/3").config.response_api.redis
    assert (redis.address, redis.username, redis.password, redis.db) == ("[::1]:7000", "me", "p@ss", 3)
    assert redis.tls_enabled
    assert redis.key_prefix == "p:"


def test_what_it_leaves_out_is_not_the_blocks(tmp_path: Path) -> None:
    redis = load(tmp_path, "redis://h").config.response_api.redis
    assert (redis.address, redis.username, redis.password, redis.db) == ("h:6379", "", "", 0)
    assert not redis.tls_enabled


def test_it_leaves_a_cluster_alone(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("response_api: {redis: {cluster_mode: '${CLUSTER}', cluster_addresses: ['a:1']}}")
    for cluster, address in [("true", ""), ("false", "broker:1")]:
        loaded = load_config(path, {"REDIS_URL": "redis://broker:1/0", "CLUSTER": cluster})
        assert loaded.config.response_api.redis.address == address


@pytest.mark.parametrize(
    "url",
    ["unix:///tmp/x", "http://h", "redis://h:port", "redis://h:0", "redis://h/x", "redis://", "nonsense"],
)
def test_a_wrong_one_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"^REDIS_URL = .*Write redis://"):
        load(tmp_path, url)


def test_a_unix_socket_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^REDIS_URL = 'unix://…': a Unix socket cannot be used"):
        load(tmp_path, "unix:///var/run/redis.sock")


def test_a_negative_db_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^response_api.redis.db = -1: is below 0"):
        load(tmp_path, "redis://h/-1")


@pytest.mark.parametrize("url", [":hunter2@h:6379", "redis://:hunter2#x@h", "redis://:x/hunter2@h"])
def test_a_wrong_one_does_not_show_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, url)
    assert "hunter2" not in str(caught.value)


def test_its_query_is_warned_of_by_name(tmp_path: Path) -> None:
    assert load(tmp_path, "redis://h/0?db=3&password=hunter2").warnings == (
        "REDIS_URL: its query (db, password) is ignored; use the keys of response_api.redis",
    )

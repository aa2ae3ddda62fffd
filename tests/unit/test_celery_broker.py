"""Where tasks travel; a Cluster cannot be it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ImproperlyConfigured

from responses_api.config.schema import RedisConfig, ResponseApiConfig, RouterConfig
from router_site import celery

Configure = Callable[[RedisConfig, str], None]
CLUSTER = RedisConfig(cluster_mode=True, cluster_addresses=("10.0.0.1:7001", "10.0.0.2:7002"), password="p")


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    def configure(redis: RedisConfig, url: str) -> None:
        config = RouterConfig(response_api=ResponseApiConfig(store_backend="redis", redis=redis))
        monkeypatch.setattr(celery, "router_config", lambda: config)
        monkeypatch.setenv("CELERY_BROKER_URL", url)

    return configure


@pytest.mark.parametrize("url", ["", "redis://10.0.0.2:7002/0", "redis://user:secret@10.0.0.1:7001"])
def test_a_cluster_is_refused_with_the_reason(configure: Configure, url: str) -> None:
    configure(CLUSTER, url)
    with pytest.raises(ImproperlyConfigured, match="cannot use a Redis Cluster as its broker"):
        celery.broker()


@pytest.mark.parametrize("url", ["redis://10.0.0.9:6379/1", "amqp://guest:guest@rabbit:5672//"])
def test_beside_a_cluster_another_broker_is_taken(configure: Configure, url: str) -> None:
    configure(CLUSTER, url)
    assert celery.broker() == {"broker_url": url, "broker_use_ssl": None}


def test_without_a_url_it_is_the_configured_server_with_its_certificates(
    configure: Configure,
) -> None:
    redis = RedisConfig(address="h:6380", username="u", password="p/w", db=2, tls_enabled=True, tls_ca_path="/ca.pem")
    configure(redis, "")
    told = celery.broker()
    assert told["broker_url"] == "rediss://u:p%2Fw@h:6380/2"
    assert told["broker_use_ssl"]["ssl_ca_certs"] == "/ca.pem"

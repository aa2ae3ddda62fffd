"""Redis over TLS, with certificates of both sides: what is right works, what is wrong is refused and said."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from responses_api.config.schema import RedisConfig
from responses_api.redis.pool import RedisPool
from responses_api.redis.sync import sync_client
from tests.redis_server import redis_server_binary
from tests.valkey import Valkey, free_port


class Pki:
    """Authorities and what they signed, as files."""

    def __init__(self, directory: Path) -> None:
        ours, theirs = trustme.CA(), trustme.CA()
        self.ca, self.other_ca = directory / "ca.pem", directory / "other.pem"
        ours.cert_pem.write_to_path(self.ca)
        theirs.cert_pem.write_to_path(self.other_ca)
        self.server = self._write(directory, "server", ours.issue_cert("localhost"))
        self.client = self._write(directory, "client", ours.issue_cert("router"))
        self.stranger = self._write(directory, "stranger", theirs.issue_cert("router"))

    def _write(self, directory: Path, name: str, leaf: trustme.LeafCert) -> tuple[str, str]:
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(key)
        return str(certificate), str(key)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def config(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisConfig]:
    """Of a server that speaks TLS alone, and only with clients it knows."""
    port, (certificate, key) = free_port(), pki.server
    tls = {
        "tls-port": port,
        "port": 0,
        "tls-cert-file": certificate,
        "tls-key-file": key,
        "tls-ca-cert-file": pki.ca,
        "tls-auth-clients": "yes",
        "save": "",
    }
    options = [text for name, value in tls.items() for text in (f"--{name}", str(value))]
    server = Valkey(tmp_path_factory.mktemp("tls"), port, *options, binary=redis_server_binary())
    yield RedisConfig(
        address=f"localhost:{port}",
        tls_enabled=True,
        tls_ca_path=str(pki.ca),
        tls_cert_path=pki.client[0],
        tls_key_path=pki.client[1],
        max_retries=0,
        dial_timeout=2,
        read_timeout=2,
    )
    server.stop()


async def ask(config: RedisConfig) -> bytes:
    pool = RedisPool(config)
    try:
        assert await pool.execute("SET", "k", b"v") == b"OK"
        answer: bytes = await pool.execute("GET", "k")
        return answer
    finally:
        await pool.aclose()


async def test_with_the_right_certificates_both_clients_work(config: RedisConfig) -> None:
    assert await ask(config) == b"v"
    with sync_client(config) as client:
        assert client.get("k") == b"v"


async def test_an_authority_that_we_do_not_trust_is_refused(config: RedisConfig, pki: Pki) -> None:
    wrong = replace(config, tls_ca_path=str(pki.other_ca))
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        await ask(wrong)
    with sync_client(wrong) as client, pytest.raises(RedisError, match="certificate verify failed"):
        client.ping()


async def test_the_systems_authorities_are_the_default(config: RedisConfig) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await ask(replace(config, tls_ca_path=""))


async def test_a_certificate_for_another_name_is_refused(config: RedisConfig) -> None:
    by_number = replace(config, address=config.address.replace("localhost", "127.0.0.1"))
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        await ask(by_number)
    with sync_client(by_number) as client, pytest.raises(RedisError, match="IP address mismatch"):
        client.ping()


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
async def test_a_client_that_the_server_does_not_know_is_turned_away(config: RedisConfig, pki: Pki, whose: str) -> None:
    certificate, key = ("", "") if whose == "nobody's" else pki.stranger
    with pytest.raises((RedisConnectionError, OSError)):
        await ask(replace(config, tls_cert_path=certificate, tls_key_path=key))


async def test_plain_text_gets_nowhere(config: RedisConfig) -> None:
    with pytest.raises((RedisConnectionError, OSError)):
        await ask(replace(config, tls_enabled=False))

"""One attempt on a real socket: signed, to the address that was checked, and never further."""

from __future__ import annotations

import datetime
import ssl
import time
from pathlib import Path

import openai
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from responses_api.config.schema import WebhookConfig
from responses_api.webhooks.sender import Message, Outcome, send_all
from responses_api.webhooks.signature import new_secret
from tests.valkey import free_port
from tests.webhooks.receiver import Receiver

PRIVATE = WebhookConfig(allow_private_addresses=True, timeout=1)
BODY = b'{"id":"evt_1","object":"event","created_at":1,"type":"response.completed","data":{"id":"resp_1"}}'


def message(url: str, *secrets: str) -> Message:
    return Message(url, "evt_1", int(time.time()), BODY, secrets or (new_secret(),))


async def test_the_official_client_accepts_it(receiver: Receiver) -> None:
    secret = new_secret()
    assert await send_all([message(receiver.url, secret)], PRIVATE) == [Outcome(200)]
    event = receiver.received[0].unwrap(secret)
    assert (event.id, event.type, event.data.id) == ("evt_1", "response.completed", "resp_1")
    assert receiver.received[0].headers["host"] == f"127.0.0.1:{receiver.port}"
    assert receiver.received[0].headers["content-type"] == "application/json"
    with pytest.raises(openai.InvalidWebhookSignatureError):
        receiver.received[0].unwrap(new_secret())


async def test_two_secrets_sign_while_one_follows_the_other(receiver: Receiver) -> None:
    new, old = new_secret(), new_secret()
    await send_all([message(receiver.url, new, old)], PRIVATE)
    assert receiver.received[0].unwrap(new).id == receiver.received[0].unwrap(old).id == "evt_1"


async def test_redirects_are_not_followed(receiver: Receiver) -> None:
    receiver.statuses = (302,)
    assert await send_all([message(receiver.url)], PRIVATE) == [Outcome(302)]
    assert [each.path for each in receiver.received] == ["/hook"]
    assert not Outcome(302).is_delivered


async def test_a_name_is_asked_for_once_and_its_address_called(receiver: Receiver) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    url = f"http://hooks.example.com:{receiver.port}/x?y=1"
    assert await send_all([message(url)], PRIVATE, rebinding) == [Outcome(200)]
    assert asked == ["hooks.example.com"]
    assert receiver.received[0].headers["host"] == f"hooks.example.com:{receiver.port}"
    assert receiver.received[0].path == "/x?y=1"


async def test_the_next_address_is_tried_where_one_does_not_answer(receiver: Receiver) -> None:
    url = f"http://hooks.example.com:{receiver.port}/"
    assert await send_all([message(url)], PRIVATE, lambda *_: ["127.0.0.9", "127.0.0.1"]) == [Outcome(200)]


async def test_loopback_is_not_called_unless_allowed(receiver: Receiver) -> None:
    url = f"https://hooks.example.com:{receiver.port}/"
    [outcome] = await send_all([message(url)], WebhookConfig(), lambda *_: ["127.0.0.1"])
    assert outcome == Outcome(None, "not sent: not a public address")
    assert receiver.received == []


async def test_failures_say_what_happened_and_spare_the_others(receiver: Receiver) -> None:
    slow = Receiver()
    slow.delay_seconds = 1.5
    started = time.monotonic()
    outcomes = await send_all(
        [message(slow.url), message(f"http://127.0.0.1:{free_port()}/"), message("http://x y/"), message(receiver.url)],
        PRIVATE,
    )
    slow.stop()
    assert time.monotonic() - started < 5
    assert outcomes[0] == Outcome(None, "no answer within 1 s")
    assert outcomes[1].status is None
    assert "connect" in outcomes[1].error.lower()
    assert outcomes[2].error.startswith("not sent: ")
    assert outcomes[3] == Outcome(200)


def certificate(directory: Path, name: str) -> Path:
    """Key and self-signed certificate of `name`, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = directory / "certificate.pem"
    path.write_bytes(secret + made.public_bytes(pem))
    return path


async def test_the_certificate_must_be_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = certificate(tmp_path, "hooks.example.com")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(path)
    receiver = Receiver(tls)
    messages = [message(f"https://{name}:{receiver.port}/") for name in ("hooks.example.com", "other.example.com")]
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    good, bad = await send_all(messages, PRIVATE, lambda *_: ["127.0.0.1"])
    monkeypatch.delenv("SSL_CERT_FILE")
    [unknown] = await send_all(messages[:1], PRIVATE, lambda *_: ["127.0.0.1"])
    receiver.stop()
    assert good == Outcome(200)
    assert bad.status is unknown.status is None
    assert "other.example.com" in bad.error
    assert "self-signed" in unknown.error

"""One attempt to deliver one event: a signed POST to an address that was checked first."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from responses_api.config.schema import WebhookConfig
from responses_api.webhooks import addresses
from responses_api.webhooks.addresses import AddressRefused, Resolve
from responses_api.webhooks.signature import signed_headers

GONE = 410
"""The receiver's word for: never again."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent where; `timestamp` in Unix seconds, `secrets` as `whsec_…`, the current one first."""

    url: str
    event_id: str
    timestamp: int
    body: bytes
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is the receiver's; None where there was no answer, and `error` says why."""

    status: int | None
    error: str = ""

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


async def send_all(
    messages: Sequence[Message], config: WebhookConfig, resolve: Resolve = addresses.resolve
) -> list[Outcome]:
    """All at once; what came of each, in their order. Raises nothing."""
    async with httpx.AsyncClient(
        timeout=config.timeout,
        verify=ssl.create_default_context(),
        trust_env=False,
        # No connection is used twice: it is known by its address, and another name may share that.
        limits=httpx.Limits(max_keepalive_connections=0),
    ) as client:
        return await asyncio.gather(*(_send(client, message, config, resolve) for message in messages))


async def _send(client: httpx.AsyncClient, message: Message, config: WebhookConfig, resolve: Resolve) -> Outcome:
    try:
        async with asyncio.timeout(config.timeout):
            url = addresses.check_url(message.url, allow_private=config.allow_private_addresses)
            found = await asyncio.to_thread(
                addresses.addresses, url, resolve, allow_private=config.allow_private_addresses
            )
            return Outcome(await _post(client, url, found, message))
    except AddressRefused as error:
        return Outcome(None, f"not sent: {error}")
    except TimeoutError:
        return Outcome(None, f"no answer within {config.timeout:g} s")
    except (httpx.HTTPError, OSError) as error:
        return Outcome(None, str(error) or type(error).__name__)


async def _post(client: httpx.AsyncClient, url: httpx.URL, found: Sequence[str], message: Message) -> int:
    """The status of whichever address answers first, asked in order; redirects are not followed."""
    *others, last = found
    for address in others:
        try:
            return await _post_to(client, url, address, message)
        except httpx.ConnectError:
            continue
    return await _post_to(client, url, last, message)


async def _post_to(client: httpx.AsyncClient, url: httpx.URL, address: str, message: Message) -> int:
    host = url.netloc.decode("ascii")
    headers = {
        **signed_headers(message.secrets, message.event_id, message.timestamp, message.body),
        "host": host,
        "content-type": "application/json",
        "user-agent": "responses-router",
    }
    async with client.stream(
        "POST",
        url.copy_with(host=address),
        content=message.body,
        headers=headers,
        # The certificate is the name's, whatever address it has.
        extensions={"sni_hostname": addresses.ascii_host(url)},
    ) as answer:
        return answer.status_code

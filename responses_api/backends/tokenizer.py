"""How many tokens a prompt is: asked of backends that have a tokenizer endpoint (vLLM's `/tokenize`), over httpx."""

from __future__ import annotations

import time
from typing import Any

import httpx
import structlog

from responses_api.backends.registry import Endpoint

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 10.0
REMEMBER_SECONDS = 600.0
"""How long a backend without the endpoint is not asked again."""


class Tokenizer:
    """One per event loop; `aclose` when done."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS)
        self._without: dict[str, float] = {}

    async def count(self, endpoint: Endpoint, chat: dict[str, Any]) -> int | None:
        """Tokens of a Chat Completions request as its model's template renders it; None where nobody can tell."""
        if self._without.get(endpoint.name, 0.0) > time.monotonic():
            return None
        url = f"{endpoint.base_url.removesuffix('/v1')}/tokenize"
        headers = {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        asked = {name: chat[name] for name in ("model", "messages", "tools") if name in chat}
        try:
            answer = await self._client.post(url, json=asked, headers={**headers, **endpoint.headers})
            if answer.status_code in (404, 405, 501):
                self._without[endpoint.name] = time.monotonic() + REMEMBER_SECONDS
                return None
            answer.raise_for_status()
            return int(answer.json()["count"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("tokens_not_counted", backend=endpoint.name, reason=str(error) or type(error).__name__)
            return None

    async def aclose(self) -> None:
        await self._client.aclose()

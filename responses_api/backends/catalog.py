"""Which models there are: asked of backends that take any, over httpx (the control plane), remembered for a while."""

from __future__ import annotations

import asyncio
import time

import httpx
import structlog

from responses_api.backends.registry import Endpoint, Registry

log = structlog.get_logger(__name__)

REMEMBER_SECONDS = 30.0
TIMEOUT_SECONDS = 5.0


class ModelCatalog:
    """One per event loop; `aclose` when done."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._client = httpx.AsyncClient(timeout=TIMEOUT_SECONDS)
        self._models: dict[str, str] = {}
        self._asked_at = float("-inf")

    async def models(self) -> dict[str, str]:
        """Model → name of the backend that serves it, sorted by model. A backend that does not answer has none."""
        if time.monotonic() - self._asked_at > REMEMBER_SECONDS:
            models = {model: self._registry.endpoints_for(model)[0].name for model in self._registry.models}
            open_endpoints = self._registry.open_endpoints
            for endpoint, served in zip(
                open_endpoints, await asyncio.gather(*map(self._ask, open_endpoints)), strict=True
            ):
                for model in served:
                    models.setdefault(model, endpoint.name)
            self._models = dict(sorted(models.items()))
            self._asked_at = time.monotonic()
        return self._models

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _ask(self, endpoint: Endpoint) -> list[str]:
        headers = {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        try:
            answer = await self._client.get(f"{endpoint.base_url}/models", headers={**headers, **endpoint.headers})
            answer.raise_for_status()
            return [str(model["id"]) for model in answer.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            log.warning("models_unknown", backend=endpoint.name, reason=str(error) or type(error).__name__)
            return []

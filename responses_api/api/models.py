"""`/v1/models`: what the configuration names, and what backends that take any model say they serve."""

from __future__ import annotations

from typing import Any

import msgspec

from responses_api.api.base import ApiView
from responses_api.api.http import Reply, Request
from responses_api.errors import NotFound


class ModelsView(ApiView):
    """`GET /v1/models`."""

    async def get(self, request: Request) -> Reply:
        models = await request.runtime.catalog.models()
        return Reply(msgspec.json.encode({"object": "list", "data": [_model(*each) for each in models.items()]}))


class ModelView(ApiView):
    """`GET /v1/models/{id}`."""

    async def get(self, request: Request, model_id: str) -> Reply:
        owner = (await request.runtime.catalog.models()).get(model_id)
        if owner is None:
            raise NotFound(f"The model '{model_id}' does not exist.", code="model_not_found", param="model")
        return Reply(msgspec.json.encode(_model(model_id, owner)))


def _model(model_id: str, owner: str) -> dict[str, Any]:
    return {"id": model_id, "object": "model", "created": 0, "owned_by": owner}

"""`/v1/models`: what the configuration names, and what backends that take any model say they serve."""

from __future__ import annotations

import msgspec
from drf_spectacular.utils import extend_schema

from responses_api.api.base import ApiView
from responses_api.api.http import Reply, Request
from responses_api.api.schema import ErrorBody, Model, ModelList
from responses_api.errors import NotFound


class ModelsView(ApiView):
    """`GET /v1/models`."""

    @extend_schema(operation_id="listModels", responses={200: ModelList, "default": ErrorBody})
    async def get(self, request: Request) -> Reply:
        models = await request.runtime.catalog.models()
        return Reply(msgspec.json.encode(ModelList("list", [_model(*each) for each in models.items()])))


class ModelView(ApiView):
    """`GET /v1/models/{id}`."""

    @extend_schema(operation_id="getModel", responses={200: Model, "default": ErrorBody})
    async def get(self, request: Request, model_id: str) -> Reply:
        owner = (await request.runtime.catalog.models()).get(model_id)
        if owner is None:
            raise NotFound(f"The model '{model_id}' does not exist.", code="model_not_found", param="model")
        return Reply(msgspec.json.encode(_model(model_id, owner)))


def _model(model_id: str, owner: str) -> Model:
    return Model(id=model_id, object="model", created=0, owned_by=owner)

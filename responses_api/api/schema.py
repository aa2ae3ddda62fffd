"""OpenAPI 3.1 from the routes, DRF's views and msgspec's shapes, by drf-spectacular."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from msgspec import Struct


class ErrorObject(Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(Struct):
    """What every answer with a status from 400 on carries."""

    error: ErrorObject


class Deleted(Struct):
    id: str
    object: Literal["response.deleted"]
    deleted: bool


class DeletedConversation(Struct):
    id: str
    object: Literal["conversation.deleted"]
    deleted: bool


class ItemList(Struct):
    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Model(Struct):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(Struct):
    object: Literal["list"]
    data: list[Model]


class StructExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """Lets `extend_schema(request=…, responses=…)` name msgspec structs."""

    target_class = "msgspec.Struct"
    match_subclasses = True

    def get_name(self, auto_schema: AutoSchema, direction: str) -> str:
        return str(self.target.__name__)

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        (own,), components = msgspec.json.schema_components([self.target], ref_template="#/components/schemas/{name}")
        for name, schema in components.items():
            if name != self.target.__name__:
                component = ResolvedComponent(  # type: ignore[no-untyped-call]
                    name=name, type=ResolvedComponent.SCHEMA, object=_struct(name), schema=schema
                )
                auto_schema.registry.register_on_missing(component)
        return dict(components.get(self.target.__name__, own))


def _struct(name: str) -> type[Struct]:
    """The struct behind a component: drf-spectacular tells components apart by their class."""
    return next(each for each in Struct.__subclasses__() if each.__name__ == name)


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "responses_api.api.auth.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}

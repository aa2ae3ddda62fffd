"""The OpenAPI document and its page."""

from __future__ import annotations

import re
from contextlib import closing

import pytest
from django.test import Client
from drf_spectacular.validation import validate_schema


def test_the_document_is_valid_and_covers_the_api(client: Client) -> None:
    document = client.get("/openapi.json").json()
    validate_schema(document)
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {
        "/v1/cache/entries/{entry_id}",
        "/v1/cache/keys/{namespace}",
        "/v1/cache/purge",
        "/v1/cache/stats",
        "/v1/cache/explain",
        "/v1/responses",
        "/v1/responses/{response_id}",
        "/v1/responses/{response_id}/input_items",
        "/v1/responses/{response_id}/cancel",
        "/v1/responses/compact",
        "/v1/responses/input_tokens",
        "/v1/conversations",
        "/v1/conversations/{conversation_id}",
        "/v1/conversations/{conversation_id}/items",
        "/v1/conversations/{conversation_id}/items/{item_id}",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/v1/models/{model_id}",
    }
    assert set(document["paths"]["/v1/responses/{response_id}"]) == {"get", "delete"}
    assert document["components"]["securitySchemes"] == {"apiKey": {"type": "http", "scheme": "bearer"}}


def test_the_documents_shapes_say_what_is_checked(client: Client) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    create = schemas["CreateParams"]["properties"]
    assert {"minimum": 16}.items() <= create["max_output_tokens"]["anyOf"][0].items()
    assert schemas["Response"]["properties"]["usage"]["anyOf"][0] == {"$ref": "#/components/schemas/Usage"}


@pytest.mark.django_db
def test_the_page_needs_no_other_host(client: Client) -> None:
    page = client.get("/docs/").content.decode()
    assert "/openapi.json" in page
    assert re.findall(r"https?://[^\"' ]+", page) == []
    for asset in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        with closing(client.get(asset)) as file:
            assert file.status_code == 200, asset

"""Every operation of the OpenAPI document, with what fits it and what does not: no 5xx, errors of OpenAI's shape."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from responses_api.api import urls
from tests.fake_backend import FakeBackend

_document: Any = SchemaGenerator(urlconf=urls).get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
_schema = schemathesis.openapi.from_dict(_document)
_schema.config.generation.update(modes=list(GenerationMode))
OPERATIONS = {result.ok().label: result.ok() for result in _schema.get_all_operations()}
_FEW = settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@pytest.mark.parametrize("label", OPERATIONS)
def test_no_request_is_too_odd(label: str, http: httpx.Client, backend: FakeBackend) -> None:
    operation = OPERATIONS[label]
    backend.script(times=None, text="hi")

    @_FEW
    @given(st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)))
    def ask(case: Any) -> None:
        answer = case.call(base_url=str(http.base_url).removesuffix("/v1/"), timeout=20)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400 and answer.content:
            error = answer.json()["error"]
            assert error["message"]
            assert error["type"]

    ask()

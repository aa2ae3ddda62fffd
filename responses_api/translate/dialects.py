"""Which dialect an endpoint speaks."""

from __future__ import annotations

from responses_api.config.schema import BackendApi
from responses_api.translate.chat_dialect import ChatDialect
from responses_api.translate.dialect import Dialect
from responses_api.translate.responses_dialect import ResponsesDialect

_DIALECTS: dict[BackendApi, Dialect] = {"chat": ChatDialect(), "responses": ResponsesDialect()}


def of(api: BackendApi) -> Dialect:
    return _DIALECTS[api]

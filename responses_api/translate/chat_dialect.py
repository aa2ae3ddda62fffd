"""Chat Completions, which every OpenAI-compatible server speaks. Pure."""

from __future__ import annotations

import msgspec

from responses_api.errors import InvalidRequest
from responses_api.shapes.items import HOSTED_KINDS
from responses_api.shapes.request import CreateRequest
from responses_api.shapes.response import Response
from responses_api.translate.chat import decode_completion, error_message
from responses_api.translate.dialect import BackendStreamError, Prompt, Seal
from responses_api.translate.outcome import Outcome
from responses_api.translate.request import to_chat_request
from responses_api.translate.response import from_completion
from responses_api.translate.stream import StreamTranslator

_encode = msgspec.json.Encoder().encode


class ChatDialect:
    path = "/chat/completions"
    needs_raw_items = False

    def check(self, request: CreateRequest) -> None:
        for index, tool in enumerate(request.tools):
            if tool["type"] != "function":
                raise InvalidRequest(
                    f"Tool type '{tool['type']}' is not supported by the backend of model '{request.model}', which "
                    "speaks Chat Completions. Supported values are: 'function'. Hosted tools need a backend with "
                    "'api: responses'.",
                    code="unsupported_tool",
                    param=f"tools[{index}].type",
                )
        for index, item in enumerate(request.items):
            if item["type"] in HOSTED_KINDS:
                raise InvalidRequest(
                    f"Items of type '{item['type']}' are not supported by the backend of model '{request.model}', "
                    "which speaks Chat Completions. They need a backend with 'api: responses'.",
                    code="unsupported_item",
                    param=f"input[{index}].type",
                )

    def encode(self, request: CreateRequest, prompt: Prompt, *, stream: bool, max_tokens_field: str) -> bytes:
        return _encode(
            to_chat_request(
                request, prompt.items, prompt.instructions, stream=stream, max_tokens_field=max_tokens_field
            )
        )

    def read(self, response: Response, answer: bytes, seal: Seal | None) -> Outcome:
        completion = decode_completion(answer)
        if completion.error is not None:
            raise BackendStreamError(error_message(completion.error))
        return from_completion(completion, response.id, seal)

    def translator(self, response: Response, seal: Seal | None, first: int) -> StreamTranslator:
        return StreamTranslator(response, seal, first)

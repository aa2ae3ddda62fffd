"""The Responses API itself, for backends that speak it (vLLM, OpenAI): history resolved, nothing translated. Pure.

The backend stays stateless: it is asked with `store: false` and gets the whole conversation as `input`. State and ids
are the gateway's: an item's id is changed on its way to the client, and is not sent back where it need not be.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from responses_api.shapes.request import CreateRequest
from responses_api.shapes.response import Response
from responses_api.translate.chat import error_message
from responses_api.translate.dialect import BackendStreamError, Prompt, Seal
from responses_api.translate.forward import ForwardTranslator, OwnIds, to_outcome
from responses_api.translate.outcome import Outcome

_encode = msgspec.json.Encoder().encode
_decode_item = msgspec.json.Decoder(dict[str, Any]).decode

# The gateway answers for these itself.
_OURS = ("previous_response_id", "conversation", "background", "context_management", "stream", "store", "metadata")
_REASONING = "reasoning.encrypted_content"
# Of hosted tools' calls it is required.
_WITHOUT_ID = ("message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output")


class ResponsesDialect:
    path = "/responses"
    needs_raw_items = True

    def check(self, request: CreateRequest) -> None:
        """Which hosted tools there are, only the backend knows; its refusal is passed on."""

    def encode(self, request: CreateRequest, prompt: Prompt, *, stream: bool, max_tokens_field: str) -> bytes:
        body: dict[str, Any] = {name: raw for name, raw in request.fields.items() if name not in _OURS}
        body["model"] = request.served_as or request.model
        body["input"] = [item for raw in prompt.raw_items if (item := _for_backend(raw)) is not None]
        body["store"] = False
        # Thoughts can only come back sealed to a backend that keeps nothing.
        body["include"] = sorted({*(request.params.include or ()), _REASONING})
        if prompt.instructions is not None:
            body["instructions"] = prompt.instructions
        if stream:
            body["stream"] = True
        else:
            body.pop("stream_options", None)
        return _encode(body)

    def read(self, response: Response, answer: bytes, seal: Seal | None) -> Outcome:
        decoded = msgspec.json.decode(answer, type=dict[str, Any])
        if not isinstance(decoded.get("output"), list):
            if decoded.get("error"):
                raise BackendStreamError(error_message(decoded["error"]))
            raise ValueError("it has no output")
        return to_outcome(decoded, OwnIds(response.id))

    def translator(self, response: Response, seal: Seal | None, first: int) -> ForwardTranslator:
        return ForwardTranslator(response, first)


def _for_backend(raw: Raw) -> dict[str, Any] | None:
    """None for a thought that can neither be read nor verified: a backend that keeps nothing would refuse it."""
    item = _decode_item(raw)
    if item.get("type") == "reasoning":
        return item if item.get("encrypted_content") or item.get("content") else None
    if item.get("type", "message") in _WITHOUT_ID:
        item.pop("id", None)
    return item

"""The smaller APIs: `/v1/embeddings`, `/v1/completions` and vLLM's `/tokenize`. Bodies in, documents out; pure."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Any, Literal

import msgspec
from msgspec import Struct

from responses_api.demo_backend.answers import in_pieces
from responses_api.demo_backend.chat_request import Message, Shape, decode_body
from responses_api.demo_backend.chunks import CREATED, DONE
from responses_api.demo_backend.script import Steps

_DIMENSIONS = 16
_CONTEXT_TOKENS = 131_072
_BYTES_OF_A_VALUE = 2


class EmbeddingsRequest(Struct):
    model: str
    input: str | list[str | int | list[int]]
    dimensions: int = _DIMENSIONS
    encoding_format: Literal["float", "base64"] = "float"


class CompletionRequest(Struct):
    model: str
    prompt: str
    stream: bool = False
    demo_script: Steps | None = None


class TokenizeRequest(Struct):
    model: str | None = None
    prompt: str = ""
    messages: list[Message] | None = None
    tools: list[dict[str, Any]] | None = None


def embeddings(request: EmbeddingsRequest) -> bytes:
    """The same unit vector for the same text, each time."""
    inputs: Any = request.input if _is_batch(request.input) else [request.input]
    vectors = [_vector(repr(each), request.dimensions) for each in inputs]
    packed = request.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": nth, "embedding": _packed(vector) if packed else vector}
        for nth, vector in enumerate(vectors)
    ]
    tokens = sum(len(each.split()) if isinstance(each, str) else len(each) for each in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"object": "list", "model": request.model, "data": data, "usage": usage})


def completion(request: CompletionRequest, steps: Steps) -> bytes:
    """What comes after the prompt: the script's text, or the prompt again."""
    return msgspec.json.encode(_completion(request, _continuation(request, steps), "stop"))


def completion_frames(request: CompletionRequest, steps: Steps) -> list[bytes]:
    pieces = list(in_pieces(_continuation(request, steps)))
    documents = [_completion(request, piece, None) for piece in pieces] + [_completion(request, "", "stop")]
    return [*(b"data: %b\n\n" % msgspec.json.encode(each) for each in documents), DONE]


def tokenized(request: TokenizeRequest, steps: Steps) -> bytes:
    """A word is a token; its number is its length."""
    texts = [message.text for message in request.messages] if request.messages else [request.prompt]
    texts += [str(tool) for tool in request.tools or ()]
    tokens = [len(word) for text in texts for word in text.split()]
    limit = steps.context_tokens or _CONTEXT_TOKENS
    return msgspec.json.encode({"count": len(tokens), "max_model_len": limit, "tokens": tokens})


def parse(body: bytes, shape: type[Shape]) -> Shape:
    """`body` as `shape`. Raises `RequestError`."""
    return decode_body(msgspec.json.Decoder(shape), body)


def _is_batch(given: Any) -> bool:
    """A list of texts or of token lists; a list of numbers is one text."""
    return isinstance(given, list) and not (given and isinstance(given[0], int))


def _vector(text: str, dimensions: int) -> list[float]:
    noise = hashlib.shake_128(text.encode()).digest(_BYTES_OF_A_VALUE * dimensions)
    values = [value / 32768 for value in struct.unpack(f"<{dimensions}h", noise)]
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / length for value in values]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _continuation(request: CompletionRequest, steps: Steps) -> str:
    return steps.text if steps.text is not None else f" {request.prompt}"


def _completion(request: CompletionRequest, text: str, finish_reason: str | None) -> dict[str, Any]:
    words = len(request.prompt.split()), len(text.split())
    return {
        "id": "cmpl-demo",
        "object": "text_completion",
        "created": CREATED,
        "model": request.model,
        "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": words[0], "completion_tokens": words[1], "total_tokens": sum(words)},
    }

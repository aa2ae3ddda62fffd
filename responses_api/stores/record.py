"""What a stored response looks like: plain JSON, readable with `redis-cli GET`.

Writers encode `StoredResponse`; readers decode only the view they need, since decoding is most of a chain's cost.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

from responses_api.errors import ApiError
from responses_api.shapes.items import ItemView, view_stored

MAX_ANCESTORS = 64


class CorruptRecord(ApiError):
    """A stored value that is no record of ours; the message names the key's id for the operator."""

    def __init__(self, response_id: str) -> None:
        super().__init__(f"The stored response '{response_id}' cannot be read.", code="store_corrupt")


class StoredResponse(Struct, kw_only=True):
    """One response with what is needed to own, continue and show it.

    `ancestors` are the ids before it, oldest first, at most `MAX_ANCESTORS`: the nearest ones. The oldest of them
    carries the ids before itself, so a long chain is walked a window at a time and storage stays linear.
    `depth` counts all ancestors. `previous_response_id` is empty at a chain's start, as documented.
    """

    id: str
    previous_response_id: str
    project: str
    created_at: int
    depth: int
    ancestors: list[str]
    input: Raw
    response: Raw
    v: int = 1
    streamed: bool | UnsetType = UNSET
    """Of a background response: is there a log of its events?"""
    served_by: str | UnsetType = UNSET
    """The endpoint that answered, where there was a choice."""


class LinkResponse(Struct):
    status: str
    output: list[ItemView]
    instructions: str | None = None


class _RawResponse(Struct):
    status: str
    output: Raw
    instructions: str | None = None


class ChainLink(Struct, kw_only=True):
    """A record as a follow-up needs it."""

    id: str
    project: str
    depth: int
    ancestor_ids: Raw = field(name="ancestors")
    input: list[ItemView]
    response: LinkResponse
    served_by: str = ""

    @property
    def ancestors(self) -> list[str]:
        """Decoded when asked for: of a chain, only its two ends are."""
        return _ids_decoder.decode(self.ancestor_ids)

    @property
    def items(self) -> list[ItemView]:
        return self.input + self.response.output


_encoder = msgspec.json.Encoder()
_response_decoder = msgspec.json.Decoder(StoredResponse)
_ids_decoder = msgspec.json.Decoder(list[str])
_raw_response_decoder = msgspec.json.Decoder(_RawResponse)
_raws_decoder = msgspec.json.Decoder(list[Raw])
_link_decoder = msgspec.json.Decoder(ChainLink)


def encode(stored: StoredResponse) -> bytes:
    return _encoder.encode(stored)


def decode_response(response_id: str, value: bytes) -> StoredResponse:
    """Raises `CorruptRecord`."""
    try:
        return _response_decoder.decode(value)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise CorruptRecord(response_id) from error


def decode_link(response_id: str, value: bytes) -> ChainLink:
    """Raises `CorruptRecord`."""
    try:
        return _link_decoder.decode(value)
    except msgspec.ValidationError:
        return _decode_unusual_link(response_id, value)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise CorruptRecord(response_id) from error


def _decode_unusual_link(response_id: str, value: bytes) -> ChainLink:
    """A link with items of hosted tools, whose fields follow no shape of ours."""
    try:
        stored = _response_decoder.decode(value)
        response = _raw_response_decoder.decode(stored.response)
        return ChainLink(
            id=stored.id,
            project=stored.project,
            depth=stored.depth,
            ancestor_ids=Raw(_encoder.encode(stored.ancestors)),
            input=view_stored(stored.input),
            response=LinkResponse(response.status, view_stored(response.output), response.instructions),
            served_by=stored.served_by or "",
        )
    except (msgspec.DecodeError, UnicodeError) as error:
        raise CorruptRecord(response_id) from error


def items_of(stored: StoredResponse) -> list[Raw]:
    """The items that a response adds to its conversation, as JSON: its input, then its output."""
    response = _raw_response_decoder.decode(stored.response)
    return [*_raws_decoder.decode(stored.input), *_raws_decoder.decode(response.output)]

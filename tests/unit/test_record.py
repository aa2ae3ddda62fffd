"""Stored records: what a follow-up reads of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from responses_api.stores.record import CorruptRecord, StoredResponse, decode_link, encode, items_of

SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
# Fields that share a name with ours, and nothing else.
SHELL = {"type": "shell_call_output", "id": "sh_1", "call_id": "c", "output": [{"stdout": "ok", "stderr": ""}]}
MESSAGE = {"type": "message", "id": "msg_1", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}


def stored(items: list[dict[str, Any]], output: list[dict[str, Any]]) -> bytes:
    response = {"status": "completed", "output": output, "instructions": None}
    return encode(
        StoredResponse(
            id="resp_1",
            previous_response_id="",
            project="default",
            created_at=1,
            depth=0,
            ancestors=["resp_0"],
            input=Raw(msgspec.json.encode(items)),
            response=Raw(msgspec.json.encode(response)),
        )
    )


def test_hosted_tools_items_are_seen_by_their_kind_and_kept_as_they_are() -> None:
    value = stored([MESSAGE], [SEARCH, SHELL])
    link = decode_link("resp_1", value)
    assert [item.type for item in link.items] == ["message", "web_search_call", "shell_call_output"]
    assert link.items[0].content is not None
    assert link.ancestors == ["resp_0"]
    kept = items_of(msgspec.json.decode(value, type=StoredResponse))
    assert [msgspec.json.decode(item) for item in kept] == [MESSAGE, SEARCH, SHELL]


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b'{"id":"resp_1"}', stored([{"type": 5}], []), stored([MESSAGE], [{}])]
)
def test_what_is_no_record_is_told(value: bytes) -> None:
    with pytest.raises(CorruptRecord, match="resp_1"):
        decode_link("resp_1", value)

"""`truncation: auto`: which of the oldest turns go when a backend says that the conversation is too long. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from responses_api.shapes.items import ItemView

# A backend counts with its tokenizer, we with bytes: a little less than it allows is what surely fits.
MARGIN = 0.95

_LIMIT = re.compile(
    r"(?:maximum context length|context (?:window|length|size)|max_model_len)\D{0,40}(\d{2,9})", re.IGNORECASE
)
_ASKED = re.compile(r"(?:requested|resulted in|contains?|has)\D{0,30}(\d{2,9})", re.IGNORECASE)
_encode = msgspec.json.Encoder().encode


def kept_after(items: Sequence[ItemView], refusal: str, answer_tokens: int) -> list[int]:
    """The places of the items to try again with: whole turns, the newest, and every system message.

    `refusal` are the backend's words; where they name its limit and the request's size, as much goes as must, else
    half. `answer_tokens` is what the answer may take. All places: there is nothing left to drop.
    """
    sizes = [len(_encode(item)) for item in items]
    total = sum(sizes)
    limit, asked = _LIMIT.search(refusal), _ASKED.search(refusal)
    share = 0.5
    if limit and asked and int(asked[1]) > 0:
        share = max(0.0, (int(limit[1]) - answer_tokens) / int(asked[1]) * MARGIN)
    starts = [place for place, item in enumerate(items) if item.type == "message" and item.role == "user"]
    for first in starts[1:]:
        kept = [place for place, item in enumerate(items) if place >= first or _is_standing(item)]
        if first == starts[-1] or sum(sizes[place] for place in kept) <= total * min(share, 0.99):
            return kept
    return list(range(len(items)))


def _is_standing(item: ItemView) -> bool:
    """System messages hold for the whole conversation, wherever they stand."""
    return item.type == "message" and item.role in ("system", "developer")

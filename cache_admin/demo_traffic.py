"""Something to look at: real requests of every kind to a running gateway, and a history of rows that were never asked.

What the demo backend is to do is told in `demo_script`, which other backends ignore or refuse.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import httpx

from responses_api.index_entry import IndexEntry
from responses_api.shapes.ids import new_id

_PIXELS = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAKUlEQVR4nGNkYPj/n4EUwMTAwMBIigYGBgYm"
    "kjQwDGoNjKRqYBgFgwEAAO5ZAh/iV1cQAAAAAElFTkSuQmCC"
)
_WEATHER = [
    {
        "type": "function",
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]

Json = dict[str, Any]


class DemoTraffic:
    """Sends to `url`, the address that ends in `/v1`. What is refused is counted, not raised."""

    def __init__(self, client: httpx.Client, model: str) -> None:
        self._client = client
        self._model = model
        self.sent = self.refused = 0

    def send_all(self) -> None:
        """A few dozen requests: chains, a conversation, tools, images, streams, cache, background, failures."""
        self._send_chain()
        self._send_conversation()
        self._send_tools()
        self._send_kinds()
        self._send_cached()
        self._send_failures()

    def _create(self, body: Json, **headers: str) -> Json:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._post("/responses", {"model": self._model, **body}, named)
        try:
            return dict(answer.json())
        except ValueError:  # a stream
            return {}

    def _post(self, path: str, body: Json, headers: dict[str, str] | None = None) -> httpx.Response:
        answer = self._client.post(path, json=body, headers=headers)
        self.sent += 1
        self.refused += answer.status_code >= 400
        return answer

    def _send_chain(self) -> None:
        """Six turns; the third is continued twice, the second is deleted."""
        turns = [
            "My name is Ada.",
            "What is 17 * 23?",
            "And 17 * 24?",
            "What is my name?",
            "Say it again.",
            "Thank you.",
        ]
        ids: list[str] = []
        for text in turns:
            previous = {"previous_response_id": ids[-1]} if ids else {}
            ids.append(str(self._create({"input": text, "metadata": {"topic": "names"}, **previous}).get("id", "")))
        branch = self._create({"input": "Rather tell me 2 + 2.", "previous_response_id": ids[2]})
        self._create({"input": "And 3 + 3?", "previous_response_id": str(branch.get("id"))})
        self._client.delete(f"/responses/{ids[1]}")

    def _send_conversation(self) -> None:
        opening = {"type": "message", "role": "developer", "content": "You are brief."}
        made = self._post("/conversations", {"items": [opening], "metadata": {"customer": "c-1041"}}).json()
        for text in ("My name is Grace.", "What is my name?", "What is 6 * 7?"):
            self._create({"input": text, "conversation": made.get("id"), "stream": text.startswith("What is my")})

    def _send_tools(self) -> None:
        call = {"name": "get_weather", "arguments": {"city": "Lisbon"}, "id": "call_demo1"}
        script = {"reasoning": "The user wants the weather, so the tool has to be asked.", "tool_calls": [call]}
        asked = self._create({"input": "How is the weather in Lisbon?", "tools": _WEATHER, "demo_script": script})
        output = {"type": "function_call_output", "call_id": "call_demo1", "output": '{"celsius": 21, "sky": "clear"}'}
        self._create({"input": [output], "tools": _WEATHER, "previous_response_id": asked.get("id")})

    def _send_kinds(self) -> None:
        image = {"type": "input_image", "image_url": _PIXELS, "detail": "low"}
        seen = [{"role": "user", "content": [{"type": "input_text", "text": "What is this?"}, image]}]
        self._create({"input": seen})
        self._create({"input": "Write a long essay.", "stream": True, "demo_script": {"tokens": 300}})
        self._create({"input": "Fill a page.", "demo_script": {"answer_bytes": 60_000}})
        self._create({"input": "Do it later.", "background": True})
        self._create({"input": "Do it later, and slowly.", "background": True, "demo_script": {"delay_ms": 1500}})
        self._create({"input": "Do not keep this.", "store": False})
        self._create({"input": "Something improper.", "demo_script": {"refusal": "I cannot help with that."}})
        self._create({"input": "Be cut off.", "demo_script": {"text": "Once upon", "finish_reason": "length"}})
        messages = [{"role": "user", "content": "Hello by the other door."}]
        self._post("/chat/completions", {"model": self._model, "messages": messages})
        self._post("/embeddings", {"model": self._model, "input": "hello"})

    def _send_cached(self) -> None:
        for namespace, tags in (("catalogue", "products,autumn"), ("support", "faq")):
            for number in range(3):
                for _ in range(number + 2):
                    body = {"input": f"Question {number} of {namespace}?", "store": number == 0}
                    self._create(body, x_cache_key=namespace, x_cache_tags=tags)
            self._create({"input": f"A stream of {namespace}?", "stream": True}, x_cache_key=namespace)
        time.sleep(0.5)  # filed by the worker
        for _ in range(4):
            self._create({"input": "Question 2 of support?", "store": False}, x_cache_key="support", x_cache_tags="faq")

    def _send_failures(self) -> None:
        for script in ({"status": 400}, {"status": 429, "headers": {"retry-after": "0"}}, {"error_after": 3}):
            self._create({"input": "Please fail.", "stream": "error_after" in script, "demo_script": script})


MODELS = ("llama-3.3-70b", "qwen3-8b", "gpt-4.1-mini", "mistral-small")
BACKENDS = ("gpu-1", "gpu-2", "gpu-3", "openai")
_VERDICTS = ("hit", "miss", "bypass", "stale", "collapsed")
_VERDICT_WEIGHTS = (30, 45, 22, 2, 1)


def history(rows: int, days: float, now: float, seed: int = 7) -> Iterator[IndexEntry]:
    """Entries of requests that were never made, spread over the last days, oldest first; the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311
    for number in range(rows):
        at = now - days * 86_400 * (1 - number / max(1, rows))
        model = dice.choices(MODELS, (40, 30, 20, 10))[0]
        verdict = dice.choices(_VERDICTS, _VERDICT_WEIGHTS)[0]
        given = verdict in ("hit", "stale", "collapsed")
        duration = dice.lognormvariate(0.9, 0.5) if given else dice.lognormvariate(6.6, 0.7)
        failed = not given and dice.random() < 0.01
        streams = dice.random() < 0.6
        yield IndexEntry(
            id=new_id("resp"),
            project=dice.choices(("default", "demo-history"), (3, 1))[0],
            created_at=at,
            expires_at=now + 30 * 86_400,
            request_id=new_id("req"),
            model=model,
            status="failed" if failed else "completed",
            error_code="backend_error" if failed else "",
            stored=dice.random() < 0.7,
            stream=streams,
            verdict=verdict,
            verdict_reason="fresh" if verdict == "hit" else "unknown" if verdict == "miss" else "",
            backend="" if given else dice.choice(BACKENDS),
            tries=0 if given else 1,
            input_tokens=int(dice.lognormvariate(6, 1)),
            output_tokens=0 if failed else int(dice.lognormvariate(5, 0.8)),
            request_bytes=int(dice.lognormvariate(8, 1)),
            response_bytes=int(dice.lognormvariate(8, 0.8)),
            duration_ms=duration,
            first_token_ms=duration * 0.2 if streams else None,
            gateway_ms=min(duration, dice.lognormvariate(-0.5, 0.4)),
        )

"""One request through one backend, with both translations to look at; nothing of it stays. For operators."""

from __future__ import annotations

import time

import msgspec
from msgspec import Struct

from responses_api.answers import read_whole
from responses_api.backends.registry import Endpoint
from responses_api.errors import BackendUnavailable
from responses_api.run import RequestContext
from responses_api.runtime import Runtime
from responses_api.shapes.ids import new_id
from responses_api.shapes.request import parse_create_request
from responses_api.translate import dialects
from responses_api.translate.outcome import conclude


class Trial(Struct):
    """What was sent to `url`, what came back, and the response that was made of it: JSON. `ms` until the answer."""

    url: str
    sent: bytes
    received: bytes
    response: bytes
    ms: float


async def try_backend(runtime: Runtime, name: str, project: str, body: bytes) -> Trial:
    """`body` is that of a create; it is neither stored, cached nor streamed. Raises `ApiError`."""
    endpoint = _endpoint(runtime, name)
    request = parse_create_request(body)
    request.params.store, request.params.stream = False, False
    run = await runtime.engine.check(request, RequestContext(project, new_id("req")), with_raw=True)
    dialect = dialects.of(endpoint.api)
    dialect.check(request)
    sent = dialect.encode(request, run.prompt, stream=False, max_tokens_field=endpoint.max_tokens_field)
    run.endpoint, run.dialect = endpoint, dialect
    began = time.perf_counter()
    async with runtime.client.call(endpoint, dialect.path, sent) as call:
        received = await call.read_json()
    milliseconds = (time.perf_counter() - began) * 1000
    conclude(run.response, read_whole(run, received, None), int(time.time()))
    return Trial(endpoint.base_url + dialect.path, sent, received, msgspec.json.encode(run.response), milliseconds)


def _endpoint(runtime: Runtime, name: str) -> Endpoint:
    endpoint = next((each for each in runtime.registry.endpoints if each.name == name), None)
    if endpoint is None:
        raise BackendUnavailable(f"There is no backend '{name}'.")
    return endpoint

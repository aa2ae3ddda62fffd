"""What a run is told of to index and metrics: how it ended, what it used, how long it took."""

from __future__ import annotations

import time

from responses_api import metrics
from responses_api.config.schema import RouterConfig
from responses_api.errors import ApiError
from responses_api.index_entry import IndexEntry
from responses_api.index_writer import IndexWriter
from responses_api.limits import Limits, Used
from responses_api.run import RequestContext, Run
from responses_api.shapes.response import Response
from responses_api.stores.record import StoredResponse


class Accounting:
    """One per event loop."""

    def __init__(self, config: RouterConfig, index: IndexWriter, limits: Limits) -> None:
        self._retention_seconds = config.index.retention_seconds
        self._ttl_seconds = config.response_api.ttl_seconds
        self._models = config.model_config
        self._index = index
        self._limits = limits

    def following(self, run: Run) -> Following:
        """However the run ends, the index hears of it; one that nobody settled was left by its client."""
        return Following(self, run)

    def note(self, run: Run, status: str) -> None:
        """Where a stored run stands that has not ended."""
        entry = _index_entry(run, status, "", stored=True, response_bytes=0)
        entry.expires_at = self.expiry(run.response.created_at, stored=True)
        self._index.add(entry)

    def note_end(self, stored: StoredResponse, response: Response, request_id: str, request_bytes: int) -> None:
        """How a run ended of which there is nothing left but its record and what it was submitted with."""
        self._index.add(
            IndexEntry(
                id=stored.id,
                project=stored.project,
                created_at=stored.created_at,
                expires_at=self.expiry(stored.created_at, stored=True),
                request_id=request_id,
                model=response.model,
                status=response.status,
                error_code=response.error.code if response.error else "",
                stored=True,
                stream=stored.streamed is True,
                background=response.background,
                previous_response_id=stored.previous_response_id,
                conversation=response.conversation.id if response.conversation else "",
                verdict_reason="background",
                request_bytes=request_bytes,
                response_bytes=len(stored.response),
                duration_ms=(time.time() - stored.created_at) * 1000,
            )
        )

    def settle(
        self, run: Run, status: str, *, error_code: str = "", stored: bool = False, response_bytes: int = 0
    ) -> None:
        """How the run ended, once; a failure after the fact replaces the row."""
        if run.settled and not error_code:
            return
        is_first, run.settled, run.counted = not run.counted, True, True
        entry = _index_entry(run, status, error_code, stored=stored, response_bytes=response_bytes)
        entry.expires_at = self.expiry(run.response.created_at, stored=stored)
        self._index.add(entry)
        if is_first and entry.first_token_ms is not None:
            metrics.FIRST_TOKEN_SECONDS.observe(entry.first_token_ms / 1000)
        # Of what is given again nobody is paid.
        if is_first and run.response.usage is not None and run.called_at:
            self.charge(run.context, run.endpoint.name, run.request.model, entry.input_tokens, entry.output_tokens)

    def charge(self, context: RequestContext, backend: str, model: str, input_tokens: int, output_tokens: int) -> None:
        """What a backend has made for it."""
        metrics.of(metrics.TOKENS, backend, "input").inc(input_tokens)
        metrics.of(metrics.TOKENS, backend, "output").inc(output_tokens)
        if context.allowances:
            priced = self._models.get(model)
            price = priced.price if priced is not None else None
            micros = price.micros(input_tokens, output_tokens) if price is not None else 0
            self._limits.charge(context.project, context.allowances, Used(input_tokens + output_tokens, micros))

    def row_of(self, run: Run, status: str, *, stored: bool, response_bytes: int) -> IndexEntry:
        """What the index is told of such a run."""
        return _index_entry(run, status, "", stored=stored, response_bytes=response_bytes)

    def expiry(self, created_at: float, *, stored: bool) -> float | None:
        """Unix seconds until which a row is kept; None: for ever."""
        if not stored:
            return created_at + self._retention_seconds
        return created_at + self._ttl_seconds if self._ttl_seconds else None


class Following:
    """See `Accounting.following`. A generator would cost every request a microsecond."""

    __slots__ = ("_accounting", "_run")

    def __init__(self, accounting: Accounting, run: Run) -> None:
        self._accounting = accounting
        self._run = run

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ApiError):
            self._accounting.settle(self._run, "failed", error_code=error.code or error.type)
        elif isinstance(error, Exception):
            self._accounting.settle(self._run, "failed", error_code="internal_error")
        elif not self._run.settled:
            self._accounting.settle(self._run, "cancelled")


def _index_entry(run: Run, status: str, error_code: str, *, stored: bool, response_bytes: int) -> IndexEntry:
    response, context, usage = run.response, run.context, run.response.usage
    now = time.perf_counter()
    waited = (run.answered_at or now) - run.called_at if run.called_at else 0.0
    return IndexEntry(
        id=response.id,
        project=context.project,
        created_at=response.created_at,
        request_id=context.request_id,
        model=response.model,
        status=status,
        error_code=error_code,
        stored=stored,
        stream=bool(run.request.params.stream),
        background=response.background,
        previous_response_id=response.previous_response_id or "",
        conversation=response.conversation.id if response.conversation else "",
        verdict=run.verdict,
        verdict_reason=run.verdict_reason,
        cache_entry=run.cache_entry,
        backend=run.endpoint.name if run.tries else "",
        tries=run.tries,
        input_tokens=usage.input_tokens if usage else 0,
        cached_tokens=usage.input_tokens_details.cached_tokens if usage else 0,
        output_tokens=usage.output_tokens if usage else 0,
        reasoning_tokens=usage.output_tokens_details.reasoning_tokens if usage else 0,
        request_bytes=context.request_bytes,
        response_bytes=response_bytes,
        duration_ms=(now - context.received) * 1000,
        first_token_ms=(run.first_token_at - context.received) * 1000 if run.first_token_at else None,
        gateway_ms=(now - context.received - waited) * 1000,
    )

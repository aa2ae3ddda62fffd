"""The console's table of backends as the registry reads it, and what must hold of a row. Blocking ORM calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import structlog
from django.core.exceptions import ValidationError

from responses_api.backends.registry import Endpoint, Listed
from responses_api.config.check import base_url_problems
from responses_api.config.schema import BackendApi, MaxTokensField, RouterConfig
from responses_api.configured import router_config
from responses_api.models import BackendEndpoint
from responses_api.orm_threads import in_thread
from responses_api.vault import LockedAwayError

log = structlog.get_logger(__name__)

_left_out: set[str] = set()


@in_thread
def read_listed() -> Sequence[Listed]:
    """All rows, by name, but for those whose key cannot be decrypted."""
    return listed(BackendEndpoint.objects.all())


def listed(rows: Iterable[BackendEndpoint]) -> Sequence[Listed]:
    """The same of these rows."""
    found = []
    for row in rows:
        try:
            found.append(_listed(row))
            _left_out.discard(row.name)
        except LockedAwayError as error:
            if row.name not in _left_out:  # said once, not each second
                _left_out.add(row.name)
                log.error("backend_left_out", backend=row.name, reason=error.message)
    return found


def check(row: BackendEndpoint) -> None:
    """Raises `ValidationError`, by field."""
    configured = configured_names(router_config())
    if not row.base_url:
        if row.name not in configured:
            raise ValidationError({"base_url": f"The configuration has no backend '{row.name}': say where it is."})
        return
    if row.name in configured:
        raise ValidationError({"base_url": "A backend of the configuration is changed there; here it can be drained."})
    problems = [f"{problem.reason}. {problem.remedy}." for problem in base_url_problems("base_url", row.base_url)]
    if problems:
        raise ValidationError({"base_url": problems})
    if "\n" in row.api_key or "\r" in row.api_key:
        raise ValidationError({"api_key": "It has a line break in it."})


def configured_names(config: RouterConfig) -> set[str]:
    return {backend.name for backend in config.backends} | {endpoint.name for endpoint in config.vllm_endpoints}


def _listed(row: BackendEndpoint) -> Listed:
    is_drained = row.state == BackendEndpoint.State.DRAINED
    if not row.base_url:
        return Listed(row.name, is_drained)
    endpoint = Endpoint(
        name=row.name,
        base_url=row.base_url.rstrip("/"),
        weight=row.weight,
        api_key=row.api_key,
        # The choices are the configuration's.
        api=cast(BackendApi, row.api),
        max_tokens_field=cast(MaxTokensField, row.max_tokens_field),
        timeouts=router_config().timeouts,
        models=tuple(row.served_models.split()),
    )
    return Listed(row.name, is_drained, endpoint)

"""Model → the endpoints that may serve it, from the configuration. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from responses_api.config.schema import (
    BackendApi,
    BackendConfig,
    MaxTokensField,
    RouterConfig,
    Timeouts,
    VllmEndpoint,
)
from responses_api.errors import BackendUnavailable, ModelNotFound


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a backend, ready to be called. `base_url` ends in `/v1` or what stands for it, without a slash."""

    name: str
    base_url: str
    weight: int = 1
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    api: BackendApi = "chat"
    max_tokens_field: MaxTokensField = "max_completion_tokens"
    timeouts: Timeouts = field(default_factory=Timeouts)
    models: tuple[str, ...] = ()
    """The models it serves; empty = any."""


class Listed(Struct, frozen=True):
    """What the console says of a backend: one of its own, or (`endpoint` None) one of the configuration."""

    name: str
    is_drained: bool
    """Nothing new is started there."""
    endpoint: Endpoint | None = None


class Registry:
    """`endpoints_for(model)`: the model's preferred endpoints; else those that name it; else those that take any."""

    def __init__(self, config: RouterConfig) -> None:
        self._configured = [_from_vllm(each, config.timeouts) for each in config.vllm_endpoints]
        self._configured += [_from_backend(each) for each in config.backends]
        self._model_config = config.model_config
        self._listed: Sequence[Listed] = ()
        self._build()

    def apply(self, listed: Sequence[Listed]) -> bool:
        """What the console lists now; does that change anything? A name of the configuration stays its own."""
        if listed == self._listed:
            return False
        self._listed = listed
        self._build()
        return True

    def _build(self) -> None:
        drained = {each.name for each in self._listed if each.is_drained}
        named = {each.name: each for each in self._configured}
        for each in self._listed:
            if each.endpoint is not None:
                named.setdefault(each.name, each.endpoint)
        serving: dict[str, list[Endpoint]] = {}
        any_model: list[Endpoint] = []
        for endpoint in named.values():
            if endpoint.name in drained:
                continue
            for model in endpoint.models:
                serving.setdefault(model, []).append(endpoint)
            if not endpoint.models:
                any_model.append(endpoint)
        self._named, self._drained, self._serving, self._any_model = named, drained, serving, any_model
        self._preferred = {
            model: [named[name] for name in each.preferred_endpoints if name in named and name not in drained]
            for model, each in self._model_config.items()
            if each.preferred_endpoints
        }

    def served_as(self, model: str) -> str:
        """What backends call the model."""
        config = self._model_config.get(model)
        return (config.served_as if config is not None else "") or model

    def endpoints_for(self, model: str) -> Sequence[Endpoint]:
        """Raises `ModelNotFound` where no endpoint could know the model, `BackendUnavailable` where all are drained."""
        preferred = self._preferred.get(model)
        served_as = self.served_as(model) if self._model_config else model
        if preferred is None:
            preferred = self._serving.get(served_as) or self._any_model
        if not preferred:
            if self._drained:
                raise BackendUnavailable(f"Every backend of model '{model}' is drained.", code="backend_drained")
            raise ModelNotFound(model)
        return preferred

    def names_for(self, model: str) -> list[str]:
        """The endpoints' names, in an order of their own. Raises `ModelNotFound`."""
        return sorted([each.name for each in self.endpoints_for(model)])

    @property
    def models(self) -> list[str]:
        """The models that the configuration names."""
        aliases = {model for model, each in self._model_config.items() if each.served_as}
        return sorted({*self._preferred, *self._serving, *aliases})

    @property
    def open_endpoints(self) -> Sequence[Endpoint]:
        """Endpoints that take any model: what they serve, only they can tell."""
        return self._any_model

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """All there are, drained ones too."""
        return list(self._named.values())

    def is_drained(self, name: str) -> bool:
        return name in self._drained


def _from_backend(backend: BackendConfig) -> Endpoint:
    return Endpoint(
        name=backend.name,
        base_url=backend.base_url.rstrip("/"),
        weight=backend.weight,
        api_key=backend.api_key,
        headers=backend.headers,
        api=backend.api,
        max_tokens_field=backend.max_tokens_field,
        timeouts=backend.timeouts,
        models=backend.models,
    )


def _from_vllm(endpoint: VllmEndpoint, timeouts: Timeouts) -> Endpoint:
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return Endpoint(
        name=endpoint.name,
        base_url=f"http://{host}:{endpoint.port}/v1",
        weight=endpoint.weight,
        api=endpoint.api,
        timeouts=timeouts,
    )

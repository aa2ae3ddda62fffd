"""Model → the endpoints that may serve it, from the configuration. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from responses_api.config.schema import BackendApi, MaxTokensField, RouterConfig, Timeouts, VllmEndpoint
from responses_api.errors import ModelNotFound


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


class Registry:
    """`endpoints_for(model)`: the model's preferred endpoints; else those that name it; else those that take any."""

    def __init__(self, config: RouterConfig) -> None:
        endpoints = [_from_vllm(each, config.timeouts) for each in config.vllm_endpoints]
        self._named: dict[str, Endpoint] = {each.name: each for each in endpoints}
        self._serving: dict[str, list[Endpoint]] = {}
        self._any_model = list(endpoints)
        for backend in config.backends:
            endpoint = Endpoint(
                name=backend.name,
                base_url=backend.base_url.rstrip("/"),
                weight=backend.weight,
                api_key=backend.api_key,
                headers=backend.headers,
                api=backend.api,
                max_tokens_field=backend.max_tokens_field,
                timeouts=backend.timeouts,
            )
            self._named[endpoint.name] = endpoint
            for model in backend.models:
                self._serving.setdefault(model, []).append(endpoint)
            if not backend.models:
                self._any_model.append(endpoint)
        self._preferred = {
            model: [self._named[name] for name in each.preferred_endpoints]
            for model, each in config.model_config.items()
            if each.preferred_endpoints
        }

    def endpoints_for(self, model: str) -> Sequence[Endpoint]:
        """Raises `ModelNotFound` where no endpoint could know the model."""
        endpoints = self._preferred.get(model) or self._serving.get(model) or self._any_model
        if not endpoints:
            raise ModelNotFound(model)
        return endpoints

    def names_for(self, model: str) -> list[str]:
        """The endpoints' names, in an order of their own. Raises `ModelNotFound`."""
        return sorted(each.name for each in self.endpoints_for(model))

    @property
    def models(self) -> list[str]:
        """The models that the configuration names."""
        return sorted({*self._preferred, *self._serving})

    @property
    def open_endpoints(self) -> Sequence[Endpoint]:
        """Endpoints that take any model: what they serve, only they can tell."""
        return self._any_model

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        return list(self._named.values())


def _from_vllm(endpoint: VllmEndpoint, timeouts: Timeouts) -> Endpoint:
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return Endpoint(
        name=endpoint.name,
        base_url=f"http://{host}:{endpoint.port}/v1",
        weight=endpoint.weight,
        api=endpoint.api,
        timeouts=timeouts,
    )

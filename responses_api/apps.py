"""The Django application, and the check that runs at every start."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core import checks

from responses_api.config.errors import ConfigError
from responses_api.configured import loaded


class ResponsesApiConfig(AppConfig):
    name = "responses_api"
    verbose_name = "Responses API"

    def ready(self) -> None:
        checks.register(check_configuration)


def check_configuration(**_: Any) -> list[checks.CheckMessage]:
    """A wrong configuration stops the start, with key, value and remedy; unknown keys are warned of."""
    try:
        warnings = loaded().warnings
    except ConfigError as error:
        return [
            checks.Error(
                f"{problem.key}: {problem.reason}", hint=problem.remedy, obj=problem.key, id="responses_api.E001"
            )
            for problem in error.problems
        ]
    return [checks.Warning(warning, id="responses_api.W001") for warning in warnings]

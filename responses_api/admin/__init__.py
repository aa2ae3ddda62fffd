"""Django's plain admin, one module for each kind of thing an operator looks after."""

from responses_api.admin import backends, projects, responses, webhooks

__all__ = ["backends", "projects", "responses", "webhooks"]

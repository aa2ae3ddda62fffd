"""Forms for what an operator looks after, one module for each kind of thing."""

from responses_api.admin import backends, projects, webhooks

__all__ = ["backends", "projects", "webhooks"]

"""What SQL holds: projects, their keys, and a small index of responses. Never a payload."""

from __future__ import annotations

import secrets
from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.functional import cached_property

from responses_api.limits import Allowance, bounded
from responses_api.locked_field import LockedField
from responses_api.webhooks.signature import new_secret

DEFAULT_PROJECT = "default"


def new_project_id() -> str:
    return f"proj_{secrets.token_hex(12)}"


class Limited(models.Model):
    """What may be asked of it; 0: as much as it likes."""

    requests_per_minute = models.PositiveIntegerField(default=0, help_text="0: no limit.")
    tokens_per_minute = models.PositiveIntegerField(
        default=0, help_text="In and out together, as backends count them; what the cache answers is free. 0: no limit."
    )
    tokens_per_month = models.PositiveBigIntegerField(default=0, help_text="In UTC. 0: no limit.")
    money_per_month = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        default=Decimal(0),
        validators=[MinValueValidator(0)],
        help_text="By the prices in model_config; of models without one nothing is counted. In UTC. 0: no limit.",
    )
    runs_at_once = models.PositiveIntegerField(
        default=0, help_text="Requests being answered, and background runs being made. 0: no limit."
    )

    class Meta:
        abstract = True

    def allowance(self, subject: str) -> Allowance:
        return Allowance(
            subject,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            tokens_per_month=self.tokens_per_month,
            runs_at_once=self.runs_at_once,
            micros_per_month=int(self.money_per_month * 1_000_000),
        )


class Project(Limited):
    """A tenant. `public_id` is what stored responses and index rows carry."""

    name = models.CharField(max_length=200, unique=True)
    public_id = models.CharField(max_length=64, unique=True, default=new_project_id, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class BackendEndpoint(models.Model):
    """A backend beside those of the configuration; or, without a `base_url`, what is to be done with one of those."""

    class State(models.TextChoices):
        ACTIVE = "active"
        DRAINED = "drained"

    class Api(models.TextChoices):
        CHAT = "chat", "Chat Completions"
        RESPONSES = "responses", "Responses"

    class MaxTokensField(models.TextChoices):
        MAX_COMPLETION_TOKENS = "max_completion_tokens"
        MAX_TOKENS = "max_tokens"

    name = models.CharField(max_length=100, unique=True)
    state = models.CharField(
        max_length=16,
        choices=State.choices,
        default=State.ACTIVE,
        help_text="Drained: finishes what runs, starts nothing.",
    )
    base_url = models.CharField(
        "base URL",
        max_length=500,
        blank=True,
        help_text="As http://host:8000/v1. Empty: the configured backend of this name.",
    )
    served_models = models.TextField("models", blank=True, help_text="The models it serves, one a line. Empty: any.")
    weight = models.PositiveIntegerField(default=1)
    api = models.CharField("API", max_length=16, choices=Api.choices, default=Api.CHAT)
    max_tokens_field = models.CharField(
        max_length=32, choices=MaxTokensField.choices, default=MaxTokensField.MAX_COMPLETION_TOKENS
    )
    api_key = LockedField("API key", max_length=500, blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ApiKey(Limited):
    """A secret's digest; the secret itself was shown once and is not kept."""

    # Without a single key left the gateway would take itself for a new one, open to anyone on loopback.
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=16, db_index=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def subject(self) -> str:
        return f"key:{self.pk}"

    @cached_property
    def allowances(self) -> tuple[Allowance, ...]:
        """Its limits and those of its project, where there are any."""
        return bounded((self.project.allowance("project"), self.allowance(self.subject)))

    @property
    def state(self) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= timezone.now():
            return "expired"
        return "active"


class ResponseIndex(models.Model):
    """One request, as `index_entry.IndexEntry` tells it; `*_ms` are milliseconds.

    `project` is an id, not a foreign key: rows outlive projects.
    """

    id = models.CharField(primary_key=True, max_length=64)
    project = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    request_id = models.CharField(max_length=64, db_index=True)
    api = models.CharField(max_length=16, default="responses")
    model = models.CharField(max_length=200)
    status = models.CharField(max_length=20)
    error_code = models.CharField(max_length=64)
    stored = models.BooleanField()
    stream = models.BooleanField()
    background = models.BooleanField(default=False)
    previous_response_id = models.CharField(max_length=64)
    conversation = models.CharField(max_length=64, default="")
    verdict = models.CharField(max_length=16)
    verdict_reason = models.CharField(max_length=64)
    cache_entry = models.CharField(max_length=64, default="")
    backend = models.CharField(max_length=200)
    tries = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    request_bytes = models.BigIntegerField()
    response_bytes = models.BigIntegerField()
    duration_ms = models.FloatField()
    first_token_ms = models.FloatField(null=True)
    gateway_ms = models.FloatField()

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "response"
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="response_newest"),
            models.Index(fields=["project", "-created_at"], name="response_project"),
            models.Index(fields=["model", "-created_at"], name="response_model"),
            models.Index(fields=["status", "-created_at"], name="response_status"),
            models.Index(fields=["verdict", "-created_at"], name="response_verdict"),
            models.Index(fields=["backend", "-created_at"], name="response_backend"),
            models.Index(fields=["expires_at"], name="response_expiry"),
            models.Index(
                fields=["conversation", "-created_at"],
                name="response_conversation",
                condition=~models.Q(conversation=""),
            ),
            models.Index(
                fields=["-created_at", "-id"], name="response_conversing", condition=~models.Q(conversation="")
            ),
            models.Index(
                fields=["previous_response_id"], name="response_follows", condition=~models.Q(previous_response_id="")
            ),
            models.Index(
                fields=["cache_entry", "-created_at"], name="response_entry", condition=~models.Q(cache_entry="")
            ),
        ]

    def __str__(self) -> str:
        return self.id


class TrafficBucket(models.Model):
    """What happened in `seconds` from `start` (Unix seconds): `traffic.Traffic` as JSON.

    Charts read these; rows of single requests are never added up for them.
    """

    seconds = models.IntegerField()
    start = models.BigIntegerField()
    dimension = models.CharField(max_length=16)
    name = models.CharField(max_length=200)
    traffic = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["seconds", "dimension", "start", "name"], name="bucket_once")]

    def __str__(self) -> str:
        return f"{self.dimension} {self.name} {self.start}+{self.seconds}"


class WebhookEndpoint(models.Model):
    """Where a project wants to be told of the ends of its background runs."""

    # As with keys: what still uses a project is not removed unnoticed.
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="webhook_endpoints")
    # Not Django's URLField: it refuses `http://hooks:8000/`, which in a private network is a good address.
    url = models.CharField("URL", max_length=2000)
    description = models.CharField(max_length=200, blank=True)
    # Readable, unlike an API key: each delivery is signed with it.
    secret = LockedField(default=new_secret, editable=False)
    # After a rotation, until then: both sign.
    old_secret = LockedField(blank=True, editable=False)
    old_secret_until = models.DateTimeField(null=True, editable=False)
    events = models.JSONField(default=list, blank=True, help_text="Event types; none chosen means all.")
    is_active = models.BooleanField("active", default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.description or self.url


class WebhookDelivery(models.Model):
    """One event on its way to one endpoint; a pending one is sent when `next_attempt_at` has come."""

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.CharField(max_length=64)
    type = models.CharField(max_length=64)
    response_id = models.CharField(max_length=64, db_index=True)
    created_at = models.DateTimeField(help_text="Of the event.")
    state = models.CharField(
        max_length=16,
        choices=[("pending", "pending"), ("delivered", "delivered"), ("failed", "failed")],
        default="pending",
    )
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    last_status = models.PositiveSmallIntegerField(null=True, help_text="HTTP status of the last attempt's answer.")
    last_error = models.CharField(max_length=200, blank=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "webhook deliveries"
        constraints = [models.UniqueConstraint(fields=["endpoint", "event_id"], name="webhook_delivery_once")]
        indexes = [
            models.Index(fields=["state", "next_attempt_at"], name="webhook_due"),
            models.Index(fields=["-created_at", "-id"], name="webhook_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.response_id}"

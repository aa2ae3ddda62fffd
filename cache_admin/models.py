"""What the console keeps of its own: who did what, and what may be done by whom."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class OperatorAction(models.Model):
    """One act of an operator, kept whatever becomes of the operator and of what was acted on."""

    at = models.DateTimeField(default=timezone.now)
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    name = models.CharField(max_length=150, help_text="The operator's, as it was then.")
    action = models.CharField(max_length=40)
    target = models.CharField(max_length=200)
    details = models.TextField(blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        default_permissions = ("view",)
        permissions = [
            ("see", "Can look at everything; prompts and answers are masked"),
            ("reveal", "Can read prompts and answers"),
            ("operate", "Can purge, ban, drain, delete, retry and probe"),
        ]
        indexes = [
            models.Index(fields=["-at", "-id"], name="action_newest"),
            models.Index(fields=["target", "-at"], name="action_target"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.action} {self.target}"

"""The project of everyone who sends no key."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def create_default_project(apps: Any, schema_editor: Any) -> None:
    apps.get_model("responses_api", "Project").objects.get_or_create(
        name="default", defaults={"public_id": "default"}
    )


class Migration(migrations.Migration):
    dependencies = [("responses_api", "0001_initial")]
    operations = [migrations.RunPython(create_default_project, migrations.RunPython.noop)]

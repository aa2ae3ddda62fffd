"""The commands an operator, or the launcher, runs once."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone

from responses_api.api_keys import find_active_key
from responses_api.models import ApiKey, Project

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().rstrip("\n")


class TestCreateApiKey:
    def test_it_prints_the_secret_and_nothing_else(self) -> None:
        key = find_active_key(run("create_api_key", "--name", "laptop"))
        assert key is not None
        assert (key.name, key.project.public_id, key.expires_at) == ("laptop", "default", None)

    def test_it_makes_the_project_where_there_is_none(self) -> None:
        for name in ("one", "two"):
            run("create_api_key", "--project", "Team A", "--name", name)
        project = Project.objects.get(name="Team A")
        assert project.public_id.startswith("proj_")
        assert project.api_keys.count() == 2

    def test_the_key_lasts_as_many_days_as_asked(self) -> None:
        run("create_api_key", "--name", "laptop", "--expires-days", "7")
        expires_at = ApiKey.objects.get().expires_at
        assert expires_at is not None
        assert (expires_at - timezone.now()).days in (6, 7)

    @pytest.mark.parametrize("days", ["0", "-1", "x", "1.5", "99999999"])
    def test_it_refuses_days_that_are_none(self, days: str) -> None:
        with pytest.raises(CommandError, match="expires-days"):
            run("create_api_key", "--name", "laptop", f"--expires-days={days}")
        assert not ApiKey.objects.exists()


class TestEnsureAdmin:
    def test_it_prints_the_password_once(self) -> None:
        password = run("ensure_admin")
        user = authenticate(username="admin", password=password)
        assert user is not None
        assert user.is_superuser
        assert run("ensure_admin") == ""

    def test_any_superuser_is_enough(self) -> None:
        get_user_model().objects.create_superuser(username="root", password="x")
        assert run("ensure_admin") == ""

    def test_it_does_not_promote_somebody_named_admin(self) -> None:
        get_user_model().objects.create_user(username="admin", password="x")
        with pytest.raises(CommandError, match="createsuperuser"):
            run("ensure_admin")

"""Every page of the console in a real browser, over a site that runs as `./run` starts it, with seeded data."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.console.browser import Operator, chromium
from tests.launcher.running_site import ROOT, RunningSite, environ, eventually, index_ids

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("browser")]
PASSWORD = "a long enough password"
LONG_BYTES = 5_000_000

_PREPARE = f"""
from django.contrib.auth.models import Group, User
from django.core.management import call_command
for role in ("viewer", "operator", "admin"):
    user = User.objects.create_user("the-" + role, password="{PASSWORD}", is_staff=True)
    user.groups.add(Group.objects.get(name="console " + role))
call_command("seed_demo", url="{{url}}", rows=500)
"""


@dataclass
class Seeded:
    """A site with something to look at."""

    site: RunningSite
    ids: dict[str, str]

    @property
    def url(self) -> str:
        return self.site.url


def manage(site: RunningSite, *arguments: str) -> str:
    lines = site.output.splitlines()
    port = next(line.split()[1].rpartition(":")[2] for line in lines if line.startswith("valkey"))
    told = environ() | {"ROUTER_VAR_DIR": str(site.var), "REDIS_URL": f"redis://127.0.0.1:{port}/0"}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=told, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    site = RunningSite(tmp_path_factory.mktemp("console") / "var").wait_until_ready()
    try:
        assert "Sent" in manage(site, "shell", "-c", _PREPARE.format(url=site.url))
        yield Seeded(site, _find_ids(site))
    finally:
        site.stop()


def _find_ids(site: RunningSite) -> dict[str, str]:
    """Something of each kind, by asking the API for it; in the index by the time this returns."""
    first = site.ask(input="The first turn.").json()["id"]
    branches = [site.ask(input=f"Turn {n}.", previous_response_id=first).json()["id"] for n in range(2)]
    with httpx.Client(base_url=f"{site.url}/v1", timeout=60) as client:
        conversation = client.post("/conversations", json={}).json()["id"]
        body = {"model": "demo", "input": "Cache me.", "conversation": conversation}
        client.post("/responses", json=body)
        asked = {"model": "demo", "input": "What was cached?"}
        headers = {"x-cache-key": "browser", "x-cache-tags": "browser"}
        entry = client.post("/responses", json=asked, headers=headers).headers["x-cache-entry"]
        client.post("/responses", json=asked, headers=headers)
        long = {"model": "demo", "input": "x" * LONG_BYTES, "demo_script": {"text": "That was long."}}
        long_id = client.post("/responses", json=long).json()["id"]
    eventually(lambda: long_id in index_ids(site.var))
    ids = {"response": branches[0], "other": branches[1], "first": first, "long": long_id}
    return ids | {"conversation": conversation, "entry": entry}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def somebody(browser: Browser, seeded: Seeded) -> Iterator[Callable[..., Operator]]:
    """Logs in as viewer, operator or admin; at the end nothing may have gone wrong on any page."""
    opened: list[Operator] = []

    def log_in(role: str, **options: object) -> Operator:
        opened.append(Operator(browser, seeded.url, **options).log_in(f"the-{role}", PASSWORD))
        return opened[-1]

    yield log_in
    for each in opened:
        each.close()
    for each in opened:
        each.assert_faultless()


@pytest.fixture(scope="module")
def admin(browser: Browser, seeded: Seeded) -> Iterator[Operator]:
    """Logged in once, for tests that only look."""
    admin = Operator(browser, seeded.url).log_in("the-admin", PASSWORD)
    yield admin
    admin.close()


OWN_PAGES = (
    "/admin/?range=1h", "/admin/?range=24h", "/admin/?range=7d", "/admin/responses/",
    "/admin/responses/?status=failed&min_ms=1", "/admin/responses/?min_ms=x", "/admin/responses/{response}/",
    "/admin/responses/{first}/chain/", "/admin/conversations/", "/admin/conversations/{conversation}/", "/admin/tail/",
    "/admin/search/?q=resp_", "/admin/search/?q=nothing", "/admin/cache/", "/admin/cache/entries/",
    "/admin/cache/entries/{entry}/", "/admin/cache/explain/", "/admin/backends/", "/admin/backends/demo/",
    "/admin/redis/", "/admin/workers/", "/admin/audit/",
)  # fmt: skip
OPERATORS_PAGES = (
    "/admin/cache/purge/", "/admin/playground/", "/admin/responses/{response}/delete/",
    "/admin/conversations/{conversation}/delete/", "/admin/cache/entries/{entry}/evict/",
    "/admin/cache/entries/{entry}/evict/?ban",
)  # fmt: skip
FORMS = (
    "/admin/responses_api/apikey/", "/admin/responses_api/apikey/add/", "/admin/responses_api/project/",
    "/admin/responses_api/backendendpoint/add/", "/admin/responses_api/webhookendpoint/",
    "/admin/responses_api/webhookdelivery/", "/admin/auth/user/", "/admin/auth/user/add/", "/admin/password_change/",
)  # fmt: skip


@pytest.mark.parametrize("path", [*OWN_PAGES, *OPERATORS_PAGES])
def test_every_page_is_clean(admin: Operator, seeded: Seeded, path: str) -> None:
    """No console error, no violation of the policy, no other host, no serious fault that axe finds."""
    admin.open(path.format(**seeded.ids))
    admin.inspect()
    admin.inspect_dark()
    admin.inspect_on_a_phone()
    admin.assert_faultless()


@pytest.mark.parametrize("path", FORMS)
def test_the_stock_forms_are_clean(admin: Operator, path: str) -> None:
    admin.open(path)
    admin.inspect()
    admin.assert_faultless()


def test_a_screen_holds_twenty_rows(somebody: Callable[..., Operator]) -> None:
    page = somebody("viewer").open("/admin/responses/")
    heights = page.eval_on_selector_all(
        "table.rows tbody tr", "rows => rows.map(row => row.getBoundingClientRect().bottom)"
    )
    assert sum(bottom < 800 for bottom in heights) >= 20
    clipped = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1 && !cell.title).length"
    assert page.eval_on_selector_all("table.rows td", clipped) == 0


def test_masked_until_asked(somebody: Callable[..., Operator], seeded: Seeded) -> None:
    operator = somebody("operator")
    page = operator.open(f"/admin/responses/{seeded.ids['response']}/")
    expect(page.locator(".thread")).not_to_contain_text("Turn 0.")
    page.click("text=payloads masked")
    page.wait_for_load_state("networkidle")
    expect(page.locator(".thread")).to_contain_text("Turn 0.")
    page.click("summary:has-text('JSON')")
    expect(page.locator("pre.json")).to_contain_text(seeded.ids["response"])
    operator.inspect()
    page.click("text=payloads shown")
    expect(page.locator(".thread")).not_to_contain_text("Turn 0.")
    viewer = somebody("viewer").open(f"/admin/responses/{seeded.ids['response']}/")
    expect(viewer.locator("#tools")).not_to_contain_text("payloads")
    expect(viewer.locator(".thread")).to_contain_text("characters")
    expect(viewer.locator("body")).not_to_contain_text("delete…")


def test_five_megabytes_open_at_once(somebody: Callable[..., Operator], seeded: Seeded) -> None:
    operator = somebody("operator")
    operator.open("/admin/").click("text=payloads masked")
    page, path = operator.page, f"/admin/responses/{seeded.ids['long']}/"
    operator.open(path)  # the server's templates are compiled
    page.goto(f"{seeded.url}{path}")
    page.wait_for_selector(".thread .more")
    # Why it is fast: only its beginning has come.
    assert len(page.content()) < 100_000
    page.click(".thread .more button")
    expect(page.locator(".thread .text").first).to_have_text(re.compile(f"^x{{{LONG_BYTES}}}$"), timeout=20_000)


def test_charts_are_drawn_and_stay_where_they_are(somebody: Callable[..., Operator], seeded: Seeded) -> None:
    page = somebody("viewer").open("/admin/")
    assert page.locator(".chart canvas").count() == 6
    places = "each => each.map(element => JSON.stringify(element.getBoundingClientRect()))"
    before = page.eval_on_selector_all(".chart, .tile, #queues", places)
    shown = page.locator(".tile strong").first.text_content()
    for _ in range(3):
        assert seeded.site.ask(input="More.").status_code == 200
    expect(page.locator(".tile strong").first).not_to_have_text(shown or "", timeout=15_000)
    assert page.eval_on_selector_all(".chart, .tile, #queues", places) == before


def test_the_tail_shows_requests_and_pauses(somebody: Callable[..., Operator], seeded: Seeded) -> None:
    page = somebody("viewer").open("/admin/tail/")
    seen = seeded.site.ask(input="Be seen.").json()["id"]
    expect(page.locator(f"a[title='{seen}']")).to_be_visible(timeout=10_000)
    page.click("#pause")
    expect(page.locator("#tail-state")).to_have_text("paused")
    missed = seeded.site.ask(input="Be missed.").json()["id"]
    page.wait_for_timeout(3000)
    expect(page.locator(f"a[title='{missed}']")).to_have_count(0)
    page.click("#pause")
    expect(page.locator(f"a[title='{missed}']")).to_be_visible(timeout=10_000)


def test_exports_tell_how_far_they_are(somebody: Callable[..., Operator], tmp_path: Path) -> None:
    page = somebody("viewer").open("/admin/responses/")
    for name in ("CSV", "JSON lines"):
        with page.expect_download() as download:
            page.click(f"text={name}")
        file = tmp_path / name
        download.value.save_as(file)
        lines = file.read_text().splitlines()
        assert len(lines) > 500
        expect(page.locator("#export-progress")).to_contain_text("rows")


def test_keys_reach_the_search(somebody: Callable[..., Operator], seeded: Seeded) -> None:
    page = somebody("viewer").open("/admin/workers/")
    page.keyboard.press("/")
    page.keyboard.type(seeded.ids["response"][:16])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/admin/responses/{seeded.ids['response']}/")


# -- what changes something --------------------------------------------------------------------------------------------


def test_a_response_and_a_conversation_are_deleted(somebody: Callable[..., Operator], seeded: Seeded) -> None:
    operator = somebody("operator")
    made = seeded.site.ask(input="Be deleted.").json()["id"]
    conversation = httpx.post(f"{seeded.url}/v1/conversations", json={}).json()["id"]
    for path, address in ((f"responses/{made}", "responses"), (f"conversations/{conversation}", "conversations")):
        page = operator.open(f"/admin/{path}/")
        page.click("text=delete…")
        expect(page.locator(".confirm")).to_contain_text("This goes, for good")
        page.click("button.danger")
        expect(page.locator(".messagelist")).to_contain_text("is deleted")
        assert httpx.get(f"{seeded.url}/v1/{path}").status_code == 404, address


def test_a_wrong_answer_is_banned_and_allowed_again(somebody: Callable[..., Operator], seeded: Seeded) -> None:
    operator = somebody("operator")

    def ask() -> httpx.Response:
        asked = {"model": "demo", "input": "Is this right?"}
        return httpx.post(f"{seeded.url}/v1/responses", json=asked, headers={"x-cache-key": "browser"}, timeout=20)

    entry = ask().headers["x-cache-entry"]
    assert ask().headers["x-cache"] == "HIT"
    page = operator.open(f"/admin/cache/entries/{entry}/")
    page.click("text=wrong answer…")
    page.fill("[name=reason]", "It is not.")
    page.click("button.danger")
    expect(page.locator(".problems")).to_contain_text("It is not.")
    assert [ask().headers["x-cache"] for _ in range(2)] == ["BYPASS", "BYPASS"]
    operator.inspect()
    page.click("text=Allow it again")
    expect(page.locator(".messagelist")).to_contain_text("may be cached again")
    assert [ask().headers["x-cache"] for _ in range(2)] == ["MISS", "HIT"]


def test_a_tag_is_purged_after_a_dry_run(somebody: Callable[..., Operator]) -> None:
    page = somebody("operator").open("/admin/cache/purge/")
    page.select_option("[name=by]", "tag")
    page.fill("[name=value]", "browser")
    page.click("text=Count what would go")
    expect(page.locator(".confirm")).to_contain_text("would go: tag browser")
    page.click("button.danger")
    expect(page.locator(".messagelist")).to_contain_text("Purged 1 entries")


def test_a_backend_is_drained_probed_tried_and_back(somebody: Callable[..., Operator], seeded: Seeded) -> None:
    page = somebody("operator").open("/admin/backends/")
    page.click("button:has-text('probe')")
    expect(page.locator(".messagelist")).to_contain_text("answered with HTTP 200")
    page.click("button:has-text('drain')")
    expect(page.locator(".mark.drained").first).to_be_visible()
    deadline = time.monotonic() + 5
    while seeded.site.ask(input="Anybody there?").status_code != 503:
        assert time.monotonic() < deadline, "it was not drained"
        time.sleep(0.1)
    page.click("button:has-text('activate')")
    expect(page.locator(".mark.drained")).to_have_count(0)
    while seeded.site.ask(input="Anybody there?").status_code != 200:
        assert time.monotonic() < deadline + 5, "it did not come back"
        time.sleep(0.1)
    page.click("text=try")
    page.click("text=Send")
    expect(page.locator("pre.json")).to_have_count(3)


def test_a_key_is_made_shown_once_and_revoked(somebody: Callable[..., Operator]) -> None:
    admin = somebody("admin")
    page = admin.open("/admin/responses_api/project/add/")
    page.fill("[name=name]", "payments")
    page.click("[name=_save]")
    page = admin.open("/admin/responses_api/apikey/add/")
    page.select_option("[name=project]", label="payments")
    page.fill("[name=name]", "laptop")
    page.click("[name=_save]")
    expect(page.locator(".messagelist")).to_contain_text("shown this once: rr-")
    page = admin.open("/admin/responses_api/apikey/")
    expect(page.locator("body")).not_to_contain_text("shown this once")
    page.check("#action-toggle")
    page.select_option("[name=action]", "revoke")
    page.click("button[name=index]")
    expect(page.locator("#result_list")).to_contain_text("revoked")
    expect(admin.open("/admin/audit/").locator("table")).to_contain_text("laptop")


def test_roles_are_offered_what_they_may_do(somebody: Callable[..., Operator]) -> None:
    for role, offered in (("viewer", False), ("operator", True), ("admin", True)):
        page = somebody(role).open("/admin/backends/")
        assert page.locator("button:has-text('drain')").count() == int(offered)
        assert (page.locator("#menu >> text=Playground").count() == 1) is offered
        assert (page.locator("#menu >> text=Users").count() == 1) is (role == "admin")

"""Every screen, in every theme, is usable without a mouse and without good eyes, as far as axe can tell."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from scripts import web
from tests.e2e.web.conftest import Browsers, Served

AXE = web.WEB / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page) -> list[Any]:
    found = page.evaluate("async () => (await axe.run(document)).violations")
    return [(page.url, one["id"], [node["html"] for node in one["nodes"][:5]]) for one in found]


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_axe_finds_no_violation_on_any_screen(theme: str, served: Served, browsers: Browsers) -> None:
    run_id = served.begin("expedition", {"places": 2}, title="A look around")
    choosing = served.begin("choosing", None)
    script = f"localStorage.setItem('runstone.settings', '{json.dumps({'theme': theme})}');" + AXE.read_text()
    page = browsers.open(served, "/", script=script)
    expect(page.get_by_role("button", name="north")).to_be_visible()
    links = page.get_by_role("navigation", name="Screens").get_by_role("link")
    paths = [one.get_attribute("href") for one in links.all()]
    page.goto(f"{served.url}/runs/{run_id}")
    tabs = page.get_by_role("tab")
    expect(tabs.first).to_be_visible()
    names = tabs.all_inner_texts()
    found = []
    for path in [*paths, f"/runs?peek={run_id}", "/nowhere", f"/runs/{choosing}"]:
        page.goto(f"{served.url}{path}")
        expect(page.locator("main")).not_to_contain_text("Loading…")
        expect(page.locator("main").get_by_role("heading").first).to_be_attached()
        found += violations(page)
    page.goto(f"{served.url}/runs/{run_id}")
    for name in names:
        page.get_by_role("tab", name=name).click()
        expect(page.get_by_role("tab", name=name, selected=True)).to_be_visible()
        expect(page.locator("main")).not_to_contain_text("Loading…")
        found += violations(page)
    for opener in ("Command palette", "Keys and settings"):
        page.get_by_role("button", name=opener).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        found += violations(page)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    assert found == []

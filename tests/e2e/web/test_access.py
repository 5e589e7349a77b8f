"""Every screen and dialog, in every theme and at every width, is usable without a mouse and without good eyes, as
far as axe can tell."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

import runstone
from scripts import web
from tests.e2e.web import walking
from tests.e2e.web.conftest import Browsers, Served

AXE = web.WEB / "node_modules" / "axe-core" / "axe.min.js"
WIDE = ViewportSize(width=1200, height=800)
THEMES = ("dark", "contrast", "light")

SET_THEME = """settings => {
  localStorage.setItem('runstone.settings', settings);
  window.dispatchEvent(new StorageEvent('storage', { key: 'runstone.settings' }));
}"""
"""As another tab of the browser does."""
FIND = """async rules => (await axe.run(document, rules === null ? {} : { runOnly: rules })).violations"""


def check(page: Page, rules: list[str] | None, how: str) -> list[Any]:
    found = page.evaluate(FIND, rules)
    return [(page.url, how, one["id"], [node["html"][:200] for node in one["nodes"][:5]]) for one in found]


def violations(page: Page) -> list[Any]:
    """All rules at both widths; how colours go together in each theme. The last theme is the one of before."""
    found = []
    for theme in THEMES:
        page.evaluate(SET_THEME, json.dumps({"theme": theme}))
        page.evaluate(walking.DRAWN)
        found += check(page, None if theme == "light" else ["color-contrast"], theme)
    walking.resize(page, walking.NARROW)
    found += check(page, None, "narrow")
    walking.resize(page, WIDE)
    return found


@pytest.fixture
def runs(served: Served) -> dict[str, str]:
    """Runs of which each has something else to show, by name."""
    with runstone.open(served.root) as ledger:
        kept = ledger.start_run(title="A loop of its own", agent_id="loop", prompt="Look around", input=[1])
        kept.usage(provider="p", model="m", input_tokens=900, output_tokens=10, cost_usd=0.5)
        for at in (1, 2):
            kept.emit("tool.started", {"tool": "look", "call_id": f"look-{at}"})
            kept.emit("tool.completed", {"call_id": f"look-{at}", "ok": at == 1, "error": "nothing there"})
            kept.message("assistant", f"I looked {at} times")
            kept.checkpoint({"looks": at, "notes": ["grass", "a tree"][:at]}, label=f"after look {at}")
        kept.fail("there was nothing to see").result()
        paused = ledger.start_run(title="Waits for better weather", agent_id="loop")
        paused.pause(state={"at": "home"}, reason="rain")
        thread = ledger.get_run(kept.id).worker_thread_id
    return {
        "kept": kept.id,
        "paused": paused.id,
        "thread": str(thread),
        "expedition": served.begin("expedition", {"places": 2}, title="A look around"),
        "choosing": served.begin("choosing", None),
        "survey": served.begin("survey", {"n": 3}),
        "slow": served.begin("journey", {"pace": "slow"}),
        "fast": served.begin("journey", {"pace": "fast"}),
    }


def screens(runs: dict[str, str]) -> Iterator[str]:
    yield from (
        "/",
        "/runs",
        "/workflows",
        "/threads",
        "/settings",
        "/usage?range=24h",
        "/compare",
        "/nowhere",
    )
    yield from (f"/runs?peek={runs['choosing']}", "/runs?q=nothing-is-called-so")
    yield from (f"/compare?a={runs['slow']}&b={runs['fast']}&all=1", f"/threads/{runs['thread']}")


def parts(runs: dict[str, str]) -> Iterator[str]:
    yield from walking.run_paths(runs["kept"], row=runs["kept"], event="3", level="all")
    yield f"/runs/{runs['kept']}?tab=checkpoints&checkpoint=2&against=1"
    for tab in ("", "timeline", "tree", "events"):
        yield f"/runs/{runs['expedition']}?tab={tab}"
    yield from (f"/runs/{runs['survey']}?phase=walk", f"/runs/{runs['choosing']}")


@pytest.mark.parametrize("paths", [screens, parts])
def test_axe_finds_no_violation_on_any_screen(
    paths: Any, runs: dict[str, str], served: Served, browsers: Browsers
) -> None:
    page = browsers.open(served, "/", script=AXE.read_text(), viewport=WIDE, reduced_motion="reduce")
    expect(page.get_by_role("button", name="north")).to_be_visible()
    found = []
    for path in paths(runs):
        walking.go(page, path)
        expect(page.locator("main").get_by_role("heading").first).to_be_attached()
        found += violations(page)
    assert found == []


def test_axe_finds_no_violation_in_any_dialog(
    runs: dict[str, str], served: Served, browsers: Browsers
) -> None:
    page = browsers.open(served, "/", script=AXE.read_text(), viewport=WIDE, reduced_motion="reduce")
    dialog = page.get_by_role("dialog")
    found = []

    def look(told: str) -> None:
        expect(dialog).to_contain_text(told)
        found.extend(violations(page))
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)

    for opener, told in (("Command palette", "Go to Runs"), ("Keys and settings", "High contrast")):
        page.get_by_role("button", name=opener).click()
        look(told)
    walking.go(page, "/workflows?start=workflow:journey")
    look("Budget")
    for run, act, told in (
        ("paused", "Resume", "begins anew"), ("kept", "Retry", "begins anew"), ("kept", "Edit", "Label"),
        ("slow", "Stop", "1 run is not at an end"), ("slow", "Pause", "1 run is not at an end"),
        ("slow", "Message", "at its next step"), ("kept", "Archive", "taken back"),
    ):  # fmt: skip
        walking.go(page, f"/runs/{runs[run]}")
        page.get_by_role("button", name=act, exact=True).click()
        look(told)
    walking.go(page, f"/runs/{runs['slow']}")
    page.get_by_role("button", name="Fork", exact=True).click()
    page.get_by_role("button", name="Show what it would do").click()
    look("2 finished pieces of work are used again")
    walking.go(page, "/runs?status=running")
    page.get_by_role("combobox", name="Do with all runs shown").select_option("stop")
    look("Stop 4 runs?")
    page.get_by_role("button", name="Save as a view").click()
    look("It is kept in the ledger")
    assert found == []

"""Many runs and events: the page holds only what is in view, and stays where it was scrolled to."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

import runstone
from bench import size_data
from tests.e2e.web import walking
from tests.e2e.web.conftest import Browsers, Served
from tests.e2e.web.installed import Installed

RUNS = 10_000
EVENTS_PER_RUN = 10
MOST_ROWS = 60
LIVE_ROWS = "() => document.querySelectorAll('main [role=row][data-key], main [role=log] button').length"


@pytest.fixture
def served(tmp_path: Path, installed: Installed) -> Iterator[Served]:
    """A server over a workspace with them."""
    started = time.monotonic()
    size_data.build(tmp_path / "workspace", RUNS, EVENTS_PER_RUN)
    assert time.monotonic() - started < 20
    served = Served(tmp_path / "workspace", installed)
    yield served
    served.kill()


def test_a_list_of_10_000_runs_has_few_rows_and_keeps_its_place(served: Served, browsers: Browsers) -> None:
    page = browsers.open(served, "/runs?sort=created", viewport={"width": 1400, "height": 900})
    grid = page.get_by_role("grid", name="Runs")
    counts = served.api("GET", "/api/v1/runs/counts")
    shown = sum(counts["counts"].values())
    assert shown > 0.9 * RUNS  # the others are archived
    expect(grid).to_have_attribute("aria-rowcount", str(shown + 1))
    most = 0
    for top in range(0, 12_000, 800):
        grid.evaluate("(grid, top) => grid.scrollTo(0, top)", top)
        page.wait_for_function(
            """() => { const grid = document.querySelector('[role=grid]').getBoundingClientRect();
              return document.elementsFromPoint(grid.x + 20, grid.y + grid.height / 2)
                .some(one => one.dataset.key !== undefined); }"""
        )
        most = max(most, page.evaluate(LIVE_ROWS))
    assert 10 < most <= MOST_ROWS
    middle = grid.get_by_role("row").nth(20).get_attribute("data-key")
    top = grid.evaluate("grid => grid.scrollTop")
    assert top == 11_200
    page.reload()
    expect(page.locator(f"[data-key='{middle}']")).to_be_attached()
    assert grid.evaluate("grid => grid.scrollTop") == top


def test_events_hold_their_place_while_more_come(served: Served, browsers: Browsers) -> None:
    with runstone.open(served.root) as ledger, ledger.start_run(title="eventful") as run:
        run.emit_many([("note.taken", {"n": n}) for n in range(RUNS)]).result()
        page = browsers.open(served, f"/runs/{run.id}?tab=events&level=all")
        log = page.get_by_role("log")
        expect(page.get_by_text(re.compile(r"^10,\d{3} of 10,\d{3}$"))).to_be_visible()
        assert 10 < page.evaluate(LIVE_ROWS) <= MOST_ROWS
        log.evaluate("log => log.scrollTo(0, 26 * 100)")
        held = log.get_by_role("button").get_by_text("105", exact=True).first
        before = held.bounding_box()
        run.emit_many([("note.taken", {"n": n}) for n in range(500)]).result()
        expect(page.get_by_role("button", name="500 new")).to_be_visible()
        assert held.bounding_box() == before
        assert log.evaluate("log => log.scrollTop") == 2600
        assert 10 < page.evaluate(LIVE_ROWS) <= MOST_ROWS


@pytest.mark.parametrize("tab", ["tree", "timeline"])
def test_a_run_with_1_000_below_it_has_few_rows_and_keeps_its_place(
    tab: str, served: Served, browsers: Browsers
) -> None:
    page = browsers.open(
        served, f"/runs/{size_data.BIG_PARENT}?tab={tab}", viewport={"width": 1400, "height": 900}
    )
    grid = page.get_by_role("treegrid")
    below = RUNS // 10
    most, far = 0, 0
    while far < below:  # as far as pages come
        assert grid.evaluate("grid => { grid.scrollTo(0, grid.scrollHeight); return grid.scrollTop; }") > 0
        page.wait_for_function(
            """far => Math.max(...[...document.querySelectorAll('main [role=row][data-key]')]
              .map(row => Number(row.ariaRowIndex))) > far + 1""",
            arg=far,
        )
        indices = grid.locator("[data-key]").evaluate_all("rows => rows.map(row => Number(row.ariaRowIndex))")
        far = max(indices) - 1
        most = max(most, page.evaluate(LIVE_ROWS))
    assert 10 < most <= MOST_ROWS
    top = grid.evaluate("grid => { grid.scrollTo(0, grid.scrollHeight / 2); return grid.scrollTop; }")
    assert top > 10_000
    page.evaluate(walking.DRAWN)
    shown = grid.locator("[data-key]").evaluate_all("rows => rows.map(row => row.dataset.key)")
    assert 10 < len(shown) <= MOST_ROWS
    page.reload()
    expect(grid.locator(f"[data-key='{shown[len(shown) // 2]}']")).to_be_attached()
    page.evaluate(walking.DRAWN)
    assert grid.evaluate("grid => grid.scrollTop") == top
    assert sorted(
        grid.locator("[data-key]").evaluate_all("rows => rows.map(row => row.dataset.key)")
    ) == sorted(shown)

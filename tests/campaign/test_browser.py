"""What a browser does while 1,000 events come a second for half a minute, and while a long list is scrolled."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import runstone
from bench import size_data
from tests.e2e.web.conftest import Browsers, Served, browsers, playwright
from tests.e2e.web.test_many import LIVE_ROWS, MOST_ROWS

__all__ = ["browsers", "playwright"]

RATE = 1_000
SECONDS = 30
WATCH = """
window.longTasks = [];
new PerformanceObserver(list => window.longTasks.push(...list.getEntries().map(one => one.duration)))
  .observe({type: 'longtask', buffered: true});
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    size_data.build(tmp_path / "workspace", 10_000, 10)
    served = Served(tmp_path / "workspace")
    yield served
    served.kill()


def heap_mb(page: Page) -> float:
    """The page's heap once its garbage is collected."""
    told = page.context.new_cdp_session(page)
    told.send("HeapProfiler.collectGarbage")
    return float(told.send("Runtime.getHeapUsage")["usedSize"]) / 1024 / 1024


Tell = Callable[[str, object], None]


def figures(page: Page, what: str, before_mb: float, tell: Tell) -> int:
    """Tells what a page has done, and gives how many rows it holds."""
    tasks = page.evaluate("window.longTasks")
    page.evaluate("window.longTasks = []")
    rows: int = page.evaluate(LIVE_ROWS)
    tell(
        "told",
        f"{what}: {len(tasks)} tasks over 50 ms, the longest {max(tasks, default=0):.0f} ms, "
        f"{sum(tasks) / 1000:.1f} s in all; {before_mb:.0f} MB before, {heap_mb(page):.0f} MB after; {rows} rows",
    )
    return rows


@pytest.mark.timeout(240)
def test_figures_of_a_busy_page(served: Served, browsers: Browsers, record_property: Tell) -> None:
    page = browsers.open(served, "/runs?sort=created", script=WATCH, viewport={"width": 1400, "height": 900})
    grid = page.get_by_role("grid", name="Runs")
    expect(grid.get_by_role("row").nth(5)).to_be_visible()
    before = heap_mb(page)
    page.evaluate("window.longTasks = []")
    for top in range(0, 60_000, 400):
        grid.evaluate(
            """(grid, top) => new Promise(done => { grid.scrollTo(0, top); requestAnimationFrame(done); })""",
            top,
        )
    assert figures(page, "scrolling 60,000 pixels of runs", before, record_property) <= MOST_ROWS

    with runstone.open(served.root) as ledger, ledger.start_run(title="busy") as run:
        page.goto(f"{served.url}/runs/{run.id}?tab=events&level=all")
        expect(page.get_by_role("log")).to_be_visible()
        before = heap_mb(page)
        page.evaluate("window.longTasks = []")
        started = time.monotonic()
        for second in range(SECONDS):
            for tenth in range(10):
                run.emit_many([("note.taken", {"n": n}) for n in range(RATE // 10)]).result()
                due = started + second + (tenth + 1) / 10
                page.wait_for_timeout(max(0.0, due - time.monotonic()) * 1000)
        took = time.monotonic() - started
        expect(page.get_by_text("30,002 of 30,002")).to_be_visible()
        shown = time.monotonic() - started
        record_property("told", f"the last event was shown {(shown - took) * 1000:.0f} ms after it came")
        assert took < SECONDS * 1.1
        assert figures(page, f"{RATE} events a second for {SECONDS} s", before, record_property) <= MOST_ROWS

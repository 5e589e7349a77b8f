"""What a browser does while 1,000 events come a second for half a minute, and while a long list is scrolled.

A task's length on a clock has in it what other processes took of the processors; what the page itself does is told by
the time that its thread ran, which the browser's own trace has.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import runstone
from bench import size_data
from tests.e2e.web.conftest import Browsers, Served, browsers, installed, playwright
from tests.e2e.web.installed import Installed
from tests.e2e.web.test_many import LIVE_ROWS, MOST_ROWS
from tests.lists import trees

__all__ = ["browsers", "installed", "playwright"]

RATE = 1_000
SECONDS = 30
LONG_MS = 50


@pytest.fixture
def served(tmp_path: Path, installed: Installed) -> Iterator[Served]:
    size_data.build(tmp_path / "workspace", 10_000, 10)
    served = Served(tmp_path / "workspace", installed)
    yield served
    served.kill()


Tell = Callable[[str, object], None]


class Measured:
    """What a page's main thread does from its making to `told`."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session = page.context.new_cdp_session(page)
        self._events: list[dict[str, Any]] = []
        self._complete = False
        self._session.on("Tracing.dataCollected", lambda told: self._events.extend(told["value"]))
        self._session.on("Tracing.tracingComplete", self._ended)
        self._before = self._heap_mb()
        config = {"includedCategories": ["toplevel"]}
        self._session.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": config})
        self._started = time.monotonic()

    def _ended(self, _: Any) -> None:
        self._complete = True

    def _heap_mb(self) -> float:
        """The page's heap once its garbage is collected."""
        self._session.send("HeapProfiler.collectGarbage")
        return float(self._session.send("Runtime.getHeapUsage")["usedSize"]) / 1024 / 1024

    def told(self, what: str, tell: Tell) -> tuple[int, float]:
        """Tells what the page has done; gives how many rows it holds, and the time that its longest task ran."""
        took = time.monotonic() - self._started
        self._session.send("Tracing.end")
        while not self._complete:
            self._page.wait_for_timeout(50)
        tasks = self._tasks()
        ran = [one["tdur"] / 1000 for one in tasks if "tdur" in one]
        waited = [one["dur"] / 1000 for one in tasks if one["dur"] > LONG_MS * 1000]
        rows: int = self._page.evaluate(LIVE_ROWS)
        tell(
            "told",
            f"{what}: {sum(one > LONG_MS for one in ran)} tasks ran over 50 ms, the longest {max(ran):.0f} ms, "
            f"{sum(ran) / 1000:.1f} s of {took:.1f} s in all; {len(waited)} tasks took over 50 ms by the clock, "
            f"the longest {max(waited, default=0):.0f} ms; {self._before:.0f} MB before, {self._heap_mb():.0f} MB "
            f"after; {rows} rows",
        )
        return rows, max(ran)

    def _tasks(self) -> list[dict[str, Any]]:
        """The tasks of the thread that draws the page."""
        named = [one for one in self._events if one.get("name") == "thread_name"]
        main = [(one["pid"], one["tid"]) for one in named if one["args"]["name"] == "CrRendererMain"]
        found: dict[Any, list[dict[str, Any]]] = {thread: [] for thread in main}
        for one in self._events:
            thread = one["pid"], one["tid"]
            if thread in found and one.get("ph") == "X" and one["name"].endswith("RunTask"):
                found[thread].append(one)
        return max(found.values(), key=lambda tasks: sum(one.get("tdur", 0) for one in tasks))


@pytest.mark.timeout(300)
def test_figures_of_a_busy_page(served: Served, browsers: Browsers, record_property: Tell) -> None:
    page = browsers.open(served, "/runs?sort=created", viewport={"width": 1400, "height": 900})
    grid = page.get_by_role("grid", name="Runs")
    expect(grid.get_by_role("row").nth(5)).to_be_visible()
    measured = Measured(page)
    for top in range(0, 60_000, 400):
        grid.evaluate(
            """(grid, top) => new Promise(done => { grid.scrollTo(0, top); requestAnimationFrame(done); })""",
            top,
        )
    rows, longest = measured.told("scrolling 60,000 pixels of runs", record_property)
    assert rows <= MOST_ROWS
    assert longest <= LONG_MS

    with runstone.open(served.root) as ledger, ledger.start_run(title="busy") as run:
        page.goto(f"{served.url}/runs/{run.id}?tab=events&level=all")
        expect(page.get_by_text("2 of 2")).to_be_visible()
        measured = Measured(page)
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
        rows, longest = measured.told(f"{RATE} events a second for {SECONDS} s", record_property)
        assert rows <= MOST_ROWS
        assert longest <= LONG_MS


@pytest.mark.timeout(300)
def test_figures_of_a_live_tree_of_30_000_runs(
    tmp_path: Path, installed: Installed, request: pytest.FixtureRequest, record_property: Tell
) -> None:
    root = tmp_path / "tree"
    ledger = runstone.open(root)
    request.addfinalizer(ledger.close)
    run = ledger.start_run(run_id="top", parent=None)
    trees.grow(root, 30_000)
    served = Served(root, installed)
    request.addfinalizer(served.kill)
    browsers = Browsers(request.getfixturevalue("playwright"), tmp_path / "profiles")
    request.addfinalizer(browsers.close)
    page = browsers.open(served, "/settings", viewport={"width": 1400, "height": 900})
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/api/v1/runs/top/" in one.url else None)
    grid = page.get_by_role("treegrid")
    for tab in ("tree", "timeline"):
        started = time.monotonic()
        page.goto(f"{served.url}/runs/top?tab={tab}")
        expect(grid.get_by_role("row").nth(20)).to_be_visible()
        record_property("told", f"the {tab} of 30,000 runs is there after {time.monotonic() - started:.1f} s")
    assert [one for one in asked if "/tree" in one] == []
    expect(page.get_by_role("button", name="Follow now")).to_be_visible()
    status = page.get_by_role("status").filter(has_text="runs in")
    while "+" in status.inner_text():
        grid.evaluate("grid => grid.scrollTo(0, grid.scrollHeight)")
        page.wait_for_timeout(20)
    measured, pages = Measured(page), len([one for one in asked if "limit=500" in one])
    with ledger.start_run(run_id="late", parent=run) as late:
        for n in range(50):
            late.emit("tool.started", {"tool": "grep", "call_id": str(n)}).result()
            page.wait_for_timeout(200)
    expect(page.get_by_text("30,002 runs in").or_(page.get_by_text("30002 runs in"))).to_be_visible()
    rows, longest = measured.told("a timeline of 30,000 runs, one at work for 10 s", record_property)
    assert rows <= MOST_ROWS
    assert longest <= 2 * LONG_MS
    assert len([one for one in asked if "limit=500" in one]) == pages
    assert browsers.errors == []

"""Going from screen to screen as a person does, within the page: nothing is loaded anew."""

from collections.abc import Iterator
from urllib.parse import quote

from playwright.sync_api import Page, ViewportSize, expect

NARROW = ViewportSize(width=360, height=740)
ANSWERED = """async () => {
  for (let still = 0; still < 3; ) {
    await new Promise(requestAnimationFrame);
    still = window.inFlight === 0 ? still + 1 : 0;
  }
}"""
"""One answer may lead to another question: it is over when for some frames nothing was asked."""
DRAWN = "async () => { for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame); }"
TABS = ("", "timeline", "events", "tree", "checkpoints", "values", "logs")


def go(page: Page, path: str) -> None:
    """Is there once what is looked at has come."""
    page.evaluate("path => history.pushState(null, '', path)", path)
    settle(page)


def settle(page: Page) -> None:
    expect(page.locator("main")).not_to_contain_text("Loading…")
    page.evaluate(ANSWERED)


def resize(page: Page, size: ViewportSize) -> None:
    """Is back once the page is drawn in that size."""
    page.set_viewport_size(size)
    page.evaluate(DRAWN)


def run_paths(run_id: str, **more: str) -> Iterator[str]:
    """Each tab of a run, and each part of its values."""
    run = f"/runs/{quote(run_id)}"
    for tab in TABS:
        yield f"{run}?{'&'.join([f'tab={tab}', *(f'{name}={quote(value)}' for name, value in more.items())])}"
    for part in ("prompt", "result", "definition"):
        yield f"{run}?tab=values&part={part}"

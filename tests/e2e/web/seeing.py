"""What a person sees of a page, as fields that can be compared; each is a function of the page's own language."""

from contextlib import suppress
from typing import Any

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as NotInTime

_ROWS = """[...document.querySelectorAll('main [role=row][data-key]')]
  .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
  .map(row => ({
    key: row.dataset.key, index: row.getAttribute('aria-rowindex'), level: row.getAttribute('aria-level'),
    expanded: row.getAttribute('aria-expanded'), selected: row.getAttribute('aria-selected'),
    cells: [...row.querySelectorAll('[role=gridcell]')].slice(0, 2).map(cell => cell.innerText)}))"""
"""The rows with their names and states; how long ago something was moves on by itself."""

_URL = "location.pathname + location.search"
_TAB = "document.querySelector('[role=tab][aria-selected=true]')?.innerText"

LIST = f"""() => ({{
  url: {_URL}, filter: document.querySelector('main input[type=search]')?.value,
  sort: document.querySelector('main select')?.value,
  chips: [...document.querySelectorAll('main button[aria-pressed]')].map(one => one.ariaPressed + one.innerText),
  scroll: document.querySelector('main [role=grid]')?.scrollTop, rows: {_ROWS}}})"""

TREE = f"""() => ({{
  url: {_URL}, tab: {_TAB}, scroll: document.querySelector('main [role=treegrid]')?.scrollTop, rows: {_ROWS}}})"""

TIMELINE = f"""() => ({{
  url: {_URL}, tab: {_TAB}, scroll: document.querySelector('main [role=treegrid]')?.scrollTop,
  pressed: [...document.querySelectorAll('main [role=tabpanel] button[aria-pressed]')]
    .map(one => one.ariaPressed + one.innerText),
  detail: document.querySelector('section[aria-label^="Times of"]')?.ariaLabel ?? null,
  rows: {_ROWS}.map(({{cells, ...row}}) => ({{...row, name: cells[0]}})),
  bars: [...document.querySelectorAll('main [role=row][data-key]')]
    .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
    .map(row => [...row.querySelectorAll('button[data-kind]')].map(bar => bar.dataset.kind))}})"""
"""How long the bars are moves on by itself."""

OVERVIEW = f"""() => ({{
  url: {_URL}, tab: {_TAB}, head: document.querySelector('h1')?.parentElement.innerText,
  calls: [...document.querySelectorAll('main tbody tr')]
    .map(row => [...row.cells].map((cell, at) => row.dataset.status === 'running' && at === 3 ? '' : cell.innerText)),
  drafts: [...document.querySelectorAll('main textarea')].map(box => box.value)}})"""
"""A run's overview; how long a call has taken so far moves on, too."""

EVENTS = f"""() => ({{
  url: {_URL}, tab: {_TAB}, filter: document.querySelector('main input[type=search]')?.value,
  level: document.querySelector('main select')?.value,
  chosen: document.querySelector('[aria-label=Event] h2')?.innerText,
  scroll: document.querySelector('[role=log]')?.scrollTop,
  rows: [...document.querySelectorAll('[role=log] button')].map(row => row.ariaPressed + row.innerText)}})"""


def see(page: Page, what: str) -> Any:
    return page.evaluate(what)


def assert_seen(page: Page, what: str, wanted: Any) -> None:
    """The page comes to show exactly that. What is not there is null in it, as nothing else is on both sides."""
    with suppress(NotInTime):
        page.wait_for_function(
            f"wanted => JSON.stringify(({what})()) === JSON.stringify(wanted)", arg=wanted, timeout=15_000
        )
    assert see(page, what) == wanted

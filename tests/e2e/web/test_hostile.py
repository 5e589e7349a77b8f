"""What agents write is hostile: it is shown as text, runs nothing, asks nobody and breaks no screen."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.web import hostile, walking
from tests.e2e.web.conftest import Browsers, Served
from tests.e2e.web.installed import Installed

WIDE = ViewportSize(width=1200, height=700)
TEXT = "<img"
"""All of them have that, and no page has such an element."""

FAULTS = """hidden => {
  const found = [];
  const has = text => [...hidden].some(one => text.includes(one));
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode())
    if (has(node.data)) found.push('hidden characters: ' + node.parentElement.outerHTML.slice(0, 200));
  for (const one of document.querySelectorAll('*'))
    for (const { name, value } of one.attributes)
      if (['title', 'aria-label', 'placeholder'].includes(name) && has(value))
        found.push(`hidden characters in ${name}: ${one.outerHTML.slice(0, 200)}`);
  if (has(document.title)) found.push('hidden characters in the title');
  const unwanted = 'main :is(img, script, iframe, object, embed, style, link, form[action]), [href^=j], [onerror]';
  for (const one of document.querySelectorAll(unwanted))
    found.push('an element: ' + one.outerHTML.slice(0, 200));
  for (const link of document.querySelectorAll('a[href]'))
    if (link.origin !== location.origin) found.push('a link: ' + link.href.slice(0, 200));
  const boxes = 'main > *, [role=tabpanel] > *, [role$=grid], [role=log], [role=dialog], aside, article';
  for (const box of [document.scrollingElement, document.querySelector('main'), ...document.querySelectorAll(boxes)])
    if (box.checkVisibility() && box.scrollWidth > box.clientWidth + 1) {
      const edge = box.getBoundingClientRect().right + 1;
      const wide = [...box.querySelectorAll('*')].find(one => one.getBoundingClientRect().right > edge);
      found.push(`wider than its place: ${box.outerHTML.slice(0, 120)} by ${wide?.outerHTML.slice(0, 300)}`);
    }
  return found;
}"""


@pytest.fixture
def world(tmp_path: Path) -> hostile.World:
    (tmp_path / "workspace").mkdir()
    return hostile.build(tmp_path / "workspace")


@pytest.fixture
def served(world: hostile.World, tmp_path: Path, installed: Installed) -> Iterator[Served]:
    served = Served(tmp_path / "workspace", installed)
    yield served
    served.kill()


def faults(page: Page) -> list[str]:
    """What is wrong with what is shown, on a wide page and on a narrow one."""
    found = page.evaluate(FAULTS, hostile.HIDDEN)
    walking.resize(page, walking.NARROW)
    found += [f"narrow: {one}" for one in page.evaluate(FAULTS, hostile.HIDDEN)]
    walking.resize(page, WIDE)
    return [f"{page.url}: {one}" for one in found]


OWN = ("/workflows", "/settings", "/usage?by=workflow&workflow=")
"""Screens without a text of an agent."""


def paths(world: hostile.World) -> Iterator[str]:
    yield from (
        "/",
        "/runs",
        f"/runs?{urlencode({'label': f'{hostile.NAME}={hostile.NAME}', 'q': hostile.ALL})}",
    )
    yield from (f"/runs?peek={run}" for run in world.runs)
    for run in world.runs:
        yield from walking.run_paths(run, row=run, level="all")
    yield f"/runs/{world.workflow}?{urlencode({'phase': hostile.ALL[:200]})}"
    yield f"/runs/{world.failed}?tab=checkpoints&checkpoint=3&against=1"
    yield from (f"/runs/{world.failed}?tab=events&level=all&event={seq}" for seq in range(1, 24, 2))
    yield "/compare?a=flow-a&b=flow-b&all=1"
    yield f"/compare?a={world.failed}&b={world.paused}"
    yield from ("/threads", f"/threads/{world.thread}")
    for by in ("agent", "model", "workflow", "provider"):
        yield f"/usage?by={by}&{by}={'' if by in ('agent', 'workflow') else urlencode({'': hostile.NAME})[1:]}"
    yield from ("/workflows", "/settings")


def test_hostile_text_is_text_on_every_screen(
    world: hostile.World, served: Served, browsers: Browsers
) -> None:
    page = browsers.open(served, "/", viewport=WIDE)
    found = []
    for path in paths(world):
        walking.go(page, path)
        expect(page.locator("main")).to_contain_text(TEXT if path not in OWN else "")
        found += faults(page)
    assert found == []


def test_hostile_text_is_text_in_every_dialog(
    world: hostile.World, served: Served, browsers: Browsers
) -> None:
    page = browsers.open(served, f"/runs/{world.failed}", viewport=WIDE)
    found = []
    for run, acts in (
        (world.failed, ("Retry", "Fork", "Edit")),
        (world.asking, ("Stop", "Message")),
        (world.paused, ("Resume",)),
    ):
        walking.go(page, f"/runs/{run}")
        for act in acts:
            page.get_by_role("button", name=act, exact=True).click()
            dialog = page.get_by_role("dialog")
            expect(dialog).to_be_visible()
            expect(dialog).not_to_contain_text("…")
            found += faults(page)
            page.keyboard.press("Escape")
            expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Command palette").click()
    page.get_by_role("combobox", name="Command or run").fill("attacker")
    expect(page.get_by_role("option").filter(has_text="attacker").first).to_be_visible()
    found += faults(page)
    assert found == []

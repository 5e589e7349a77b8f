"""What agents write is hostile: it is shown as text, runs nothing, asks nobody and breaks no screen."""

from playwright.sync_api import expect

import runstone
from tests.e2e.web.conftest import Browsers, Served

# What ran would be an error in the console, and what was asked of elsewhere a host: `browsers` allows neither.
HTML = "<img src=https://attacker.example/x.png onerror='console.error(1)'><script>console.error(1)</script>"
LINK = "[click](javascript:console.error(1)) ![seen](https://attacker.example/y.png)"
TERMINAL = "\x1b]0;title\x07\x1b[31mred\x1b[0m\x1b[2J"
TURNED = "\u202egnp.exe\u2066\u200f\u2069"
IMAGE = "data:image/png;base64," + "iVBORw0KGgo" * 2_000
LONG = "<b>long</b> " * (5 * 1024 * 1024 // 12)
ALL = f"{HTML} {LINK} {TERMINAL} {TURNED}"


def hostile_run(served: Served) -> str:
    """A run with all of it in its texts."""
    with runstone.open(served.root) as ledger:
        run = ledger.start_run(
            title=ALL, input={ALL[:80]: [ALL, IMAGE, LONG]}, labels={"team": HTML[:90]}, prompt=LONG
        )
        with run:
            for at, text in enumerate((ALL, IMAGE, LONG)):
                run.emit("tool.started", {"tool": text, "call_id": f"{at} {text[:90]}"})
                run.emit("tool.completed", {"call_id": f"{at} {text[:90]}", "ok": False, "error": text})
                run.message("assistant", text)
                run.emit("note.taken", {"text": text, ALL: text})
            run.set_summary(ALL)
            run_id: str = run.id
    return run_id


def test_hostile_text_is_text_on_every_screen(served: Served, browsers: Browsers) -> None:
    run_id = hostile_run(served)
    page = browsers.open(served, "/")
    expect(page.get_by_text("<script>console.error(1)</script>").first).to_be_visible()
    page.goto(f"{served.url}/runs?peek={run_id}")
    expect(page.get_by_text("<script>console.error(1)</script>").first).to_be_visible()
    page.goto(f"{served.url}/runs/{run_id}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>console.error(1)</script>")
    assert not set(page.get_by_role("heading", level=1).inner_text()) & set(
        "\x1b\x07\u202e\u2066\u200f\u2069"
    )
    tabs = page.get_by_role("tab").all_inner_texts()
    for name in tabs:
        page.get_by_role("tab", name=name).click()
        expect(page.get_by_role("tab", name=name, selected=True)).to_be_visible()
        expect(page.locator("main")).not_to_contain_text("Loading…")
        assert page.locator("main [role=tabpanel]").inner_text() != ""
    page.goto(f"{served.url}/runs/{run_id}?tab=events&level=all")
    events = page.get_by_role("log").get_by_role("button")
    expect(events.first).to_be_visible()
    for at in range(events.count()):
        events.nth(at).click()
        expect(page.get_by_role("complementary", name="Event")).to_contain_text("position")
    assert page.locator("main img, main script, main iframe, main a[href^='javascript']").count() == 0

"""What a person does in the page happens: starting, answering on a telephone, stopping, forking."""

import json

from playwright.sync_api import expect

from tests.e2e.web.conftest import Browsers, Served


def test_a_run_is_started_in_the_page_and_its_subtree_stopped(served: Served, browsers: Browsers) -> None:
    page = browsers.open(served, "/workflows")
    page.get_by_role("button", name="Start expedition").click()
    page.get_by_role("dialog").get_by_role("textbox", name="Input, as JSON").fill('{"places": 3}')
    page.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="expedition")).to_be_visible()
    page.get_by_role("tab", name="Tree").click()
    mappers = page.get_by_role("row").filter(has_text="mapper")
    expect(mappers.filter(has_text="running")).to_have_count(3)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("6 runs are not at an end, 6 of them running now")
    page.get_by_role("dialog").get_by_role("button", name="Stop it and all below it").click()
    expect(mappers.filter(has_text="stopped")).to_have_count(3)
    expect(page.locator("main header")).to_contain_text("requested")
    expect(page.locator("main header")).to_contain_text("applied")
    found = served.api("GET", "/api/v1/runs")["items"]
    assert [one["status"] for one in found] == ["cancelled"] * 7


def test_a_question_is_answered_on_a_narrow_page(served: Served, browsers: Browsers) -> None:
    run_id = served.begin("choosing", None)
    page = browsers.open(served, "/", viewport={"width": 360, "height": 740})
    expect(page.get_by_role("button", name="south")).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="south").click()
    expect(page.get_by_role("heading", name="Completed")).to_be_visible()
    expect(page.get_by_role("button", name="south")).to_have_count(0)
    assert served.api("GET", f"/api/v1/runs/{run_id}/result")["value"] == "south"


def test_a_fork_with_a_changed_input_says_before_what_it_uses_again(
    served: Served, browsers: Browsers
) -> None:
    served.open_gate()
    run_id = served.begin("journey", {"pace": "slow", "note": "first"})
    page = browsers.open(served, f"/runs/{run_id}")
    expect(page.locator("main header")).to_contain_text("completed")
    page.get_by_role("button", name="Fork", exact=True).click()
    dialog = page.get_by_role("dialog")
    box = dialog.get_by_role("textbox", name="Input")
    expect(box).to_have_value(json.dumps({"pace": "slow", "note": "first"}, indent=2))
    box.fill('{"pace": "slow", "note": "second"}')
    dialog.get_by_role("button", name="Show what it would do").click()
    expect(dialog).to_contain_text("4 finished pieces of work are used again")
    dialog.get_by_role("button", name="Fork and start").click()
    expect(page.locator("main header")).to_contain_text("forked from")
    expect(page.locator("main header")).to_contain_text("completed")
    fork_id = page.url.rpartition("/")[2]
    assert fork_id != run_id
    assert served.api("GET", f"/api/v1/runs/{fork_id}/input")["value"] == {"pace": "slow", "note": "second"}
    assert served.api("GET", f"/api/v1/runs?parent_id={fork_id}")["items"] == []

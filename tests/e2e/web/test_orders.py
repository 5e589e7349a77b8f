"""What a person does in the page happens: starting, answering on a telephone, stopping, forking."""

import json
import re

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


def test_a_run_is_told_something_paused_and_resumed(served: Served, browsers: Browsers) -> None:
    run_id = served.begin("journey", {"pace": "slow"})
    page = browsers.open(served, f"/runs/{run_id}?tab=tree")
    head, dialog = page.locator("main header"), page.get_by_role("dialog")
    steppers = page.get_by_role("row").filter(has_text="stepper")
    expect(steppers.filter(has_text="Running")).to_have_count(1)

    page.get_by_role("button", name="Message", exact=True).click()
    dialog.get_by_role("textbox", name="Message").fill("mind the weather")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog).to_have_count(0)
    expect(head).to_contain_text("message “mind the weather”: requested")

    page.get_by_role("button", name="Pause", exact=True).click()
    expect(dialog).to_contain_text("1 run is not at an end, 1 of them running now")
    dialog.get_by_role("textbox", name="Reason").fill("it rains")
    dialog.get_by_role("button", name="Pause it and all below it").click()
    expect(head).to_contain_text(re.compile("pause with all below: requested.*acknowledged", re.DOTALL))
    served.open_gate()
    expect(head).to_contain_text("paused")
    expect(head).to_contain_text("it rains")
    expect(head).to_contain_text("applied")
    expect(steppers.filter(has_text="Completed")).to_have_count(3)

    page.get_by_role("button", name="Resume", exact=True).click()
    expect(dialog).to_contain_text("3 finished pieces of work are used again")
    dialog.get_by_role("button", name="Resume", exact=True).click()
    expect(head).to_contain_text("completed")
    expect(steppers.filter(has_text="Completed")).to_have_count(4)
    expect(steppers.filter(has_text="reused")).to_have_count(3)
    orders = served.api("GET", f"/api/v1/runs/{run_id}/commands")["items"]
    told = {one["verb"]: one["payload"].get("message") for one in orders}
    assert (told["steer"], "pause" in told, "resume" in told) == ("mind the weather", True, True)


def test_a_failed_run_is_retried_and_what_was_done_is_used_again(served: Served, browsers: Browsers) -> None:
    run_id = served.begin("climb", {"by": "rope"})
    page = browsers.open(served, f"/runs/{run_id}")
    head, dialog = page.locator("main header"), page.get_by_role("dialog")
    expect(head).to_contain_text("failed")
    expect(page.get_by_role("region", name="Error")).to_contain_text("the way is blocked")
    served.open_gate()
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(dialog).to_contain_text("1 finished piece of work is used again")
    dialog.get_by_role("button", name="Retry", exact=True).click()
    expect(head).to_contain_text("completed")
    expect(head).to_contain_text("attempt 2")
    expect(page.get_by_role("region", name="Error")).to_have_count(0)
    page.get_by_role("tab", name="Tree").click()
    expect(page.get_by_role("row").filter(has_text="reused")).to_have_count(1)
    children = served.api("GET", f"/api/v1/runs?parent_id={run_id}&sort=created&order=asc")["items"]
    assert [(one["agent_id"], one["attempt"]) for one in children] == [("stepper", 1), ("climber", 2)]


def test_many_runs_are_stopped_and_put_away_with_their_number_first(
    served: Served, browsers: Browsers
) -> None:
    for place in ("sea", "lake", "hill"):
        served.begin("choosing", {"place": place}, title=f"To the {place}")
    page = browsers.open(served, "/runs?definition_id=choosing&sort=created&order=asc")
    rows, dialog = page.get_by_role("row"), page.get_by_role("dialog")
    for place in ("sea", "hill"):
        page.get_by_role("checkbox", name=f"Mark To the {place}").check()
    page.get_by_role("combobox", name="Do with the marked runs").select_option("stop")
    expect(dialog).to_contain_text("Stop 2 runs?")
    dialog.get_by_role("button", name="Stop 2 runs").click()
    expect(rows.filter(has_text="stopped")).to_have_count(2)
    expect(rows.filter(has_text="To the lake")).to_contain_text("needs input")

    page.get_by_role("combobox", name="Do with all runs shown").select_option("archive")
    expect(dialog).to_contain_text("Archive 2 runs?")
    expect(dialog).to_contain_text("Of 3 runs")
    dialog.get_by_role("button", name="Archive 2 runs").click()
    expect(rows.filter(has_text="To the")).to_have_count(1)
    found = served.api("GET", "/api/v1/runs?definition_id=choosing&archived=true")["items"]
    assert sorted(one["title"] for one in found) == ["To the hill", "To the sea"]

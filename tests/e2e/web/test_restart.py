"""The server ends in the middle of the work: the page says so, and goes on by itself once there is one again."""

from playwright.sync_api import expect

from tests.e2e.web.conftest import Browsers, Served


def test_a_killed_server_is_told_and_its_run_is_resumed_from_the_page(
    served: Served, browsers: Browsers
) -> None:
    browsers.may_be_away = True
    run_id = served.begin("journey", {"pace": "slow"})
    page = browsers.open(served, f"/runs/{run_id}?tab=tree")
    connection = page.get_by_role("banner").get_by_role("status")
    rows = page.get_by_role("row").filter(has_text="stepper")
    expect(rows.filter(has_text="Completed")).to_have_count(2)
    expect(rows.filter(has_text="Running")).to_have_count(1)
    expect(connection).to_have_text("Live")
    page.evaluate("window.isTheSamePage = true")

    served.kill()
    expect(connection).to_have_text("Reconnecting")
    expect(page.get_by_role("alert")).to_contain_text("The server has not answered for")
    served.start()
    expect(connection).to_have_text("Live")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator("main header")).to_contain_text("interrupted")
    expect(rows.filter(has_text="Interrupted")).to_have_count(1)

    served.open_gate()
    page.get_by_role("button", name="Resume", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 finished pieces of work are used again")
    dialog.get_by_role("button", name="Resume", exact=True).click()
    expect(page.locator("main header")).to_contain_text("completed")
    expect(rows.filter(has_text="Completed")).to_have_count(4)
    expect(rows.filter(has_text="reused")).to_have_count(2)
    assert page.evaluate("window.isTheSamePage") is True
    run = served.api("GET", f"/api/v1/runs/{run_id}")
    assert (run["status"], run["attempt"]) == ("completed", 2)
    children = served.api("GET", f"/api/v1/runs?parent_id={run_id}&sort=created&order=asc")["items"]
    assert [one["attempt"] for one in children] == [1, 1, 2, 1]

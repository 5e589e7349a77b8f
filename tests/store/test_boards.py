"""Boards and cards: changes by revision, and claims that nobody leaves behind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.engine.handle import RunHandle
from runstone.errors import IllegalTransition, InvalidInput, NotFound, RevisionConflict
from runstone.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as ledger:
        ledger.boards.create("board", title="sprint")
        ledger.boards.add_card("board", "card", card_id="card")
        yield ledger


def claim(ledger: Ledger, run: RunHandle, card_id: str = "card") -> Any:
    return ledger.boards.update_card(card_id, revision=ledger.boards.card(card_id).revision, run_id=run.id)


def test_a_run_refers_to_its_card_and_the_card_lists_its_runs(ledger: Ledger) -> None:
    first, second = ledger.start_run(task_card_id="card", task_board_id="board"), ledger.start_run()
    card = claim(ledger, second)
    assert (card.status, card.claimed_by, card.run_ids) == ("in_progress", second.id, (first.id, second.id))
    run = ledger.get_run(second.id)
    assert (run.task_board_id, run.task_card_id) == ("board", "card")
    assert [r.id for r in ledger.list_runs(card_id="card", sort="created", order="asc")] == [
        first.id,
        second.id,
    ]
    assert [r.id for r in ledger.list_runs(board_id="board", sort="created", order="asc")] == [
        first.id,
        second.id,
    ]


def test_a_new_card_may_be_claimed_at_once(ledger: Ledger) -> None:
    run = ledger.start_run()
    card = ledger.boards.add_card("board", "mine", run_id=run.id)
    assert (card.status, card.claimed_by, card.run_ids, card.revision) == (
        "in_progress",
        run.id,
        (run.id,),
        1,
    )


@pytest.mark.parametrize("status", ["todo", "blocked", "done"])
def test_a_card_that_is_moved_on_is_free_again(ledger: Ledger, status: str) -> None:
    """A claim that stays on a card off in_progress can neither be taken, nor completed, nor given back."""
    first, second = ledger.start_run(), ledger.start_run()
    card = claim(ledger, first)
    card = ledger.boards.update_card("card", revision=card.revision, status=status)
    assert card.claimed_by is None
    assert claim(ledger, second).claimed_by == second.id


def test_a_claim_is_held_against_others_and_given_back_by_its_holder(ledger: Ledger) -> None:
    first, second = ledger.start_run(), ledger.start_run()
    claim(ledger, first)
    with pytest.raises(RevisionConflict, match=first.id):
        claim(ledger, second)
    card = claim(ledger, first)  # once more is harmless
    card = ledger.boards.update_card("card", revision=card.revision, run_id=None)
    assert (card.status, card.claimed_by) == ("todo", None)
    card = ledger.boards.update_card("card", revision=card.revision, status="done")
    assert ledger.boards.update_card("card", revision=card.revision, run_id=None).status == "done"


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda run: run.complete().result(), "done"),
        (lambda run: run.fail("no").result(), "todo"),
        (lambda run: run.interrupt("gone"), "todo"),
        (lambda run: run.cancel().result(), "todo"),
    ],
    ids=["completed", "failed", "interrupted", "cancelled"],
)
def test_an_end_gives_the_cards_back(ledger: Ledger, end: Any, status: str) -> None:
    run = ledger.start_run()
    ledger.boards.add_card("board", "other", card_id="other")
    claim(ledger, run)
    claim(ledger, run, "other")
    end(run)
    cards = ledger.boards.cards("board")
    assert [(card.status, card.claimed_by) for card in cards] == [(status, None)] * 2


def test_a_paused_run_keeps_its_card_until_it_is_stopped(ledger: Ledger) -> None:
    run = ledger.start_run()
    claim(ledger, run)
    run.pause(state={"a": 1})
    assert ledger.boards.card("card").claimed_by == run.id
    ledger.command(run.id, "stop")
    assert (ledger.boards.card("card").status, ledger.boards.card("card").claimed_by) == ("todo", None)


def test_an_ended_run_takes_no_card(ledger: Ledger) -> None:
    """It would never give it back."""
    run = ledger.start_run()
    run.complete().result()
    with pytest.raises(IllegalTransition):
        claim(ledger, run)


@pytest.mark.parametrize(
    "fields",
    [{"status": "nowhere"}, {"position": "1"}, {"position": True}, {"position": 2**60}, {"title": None},
     {"title": "x" * 5_000}, {"assignee": "x" * 300},
     {"labels": {"a": 1}}, {"labels": {"a": "x" * 5_000}}, {"body": 5}, {"colour": "red"},
     {"body": "\ud800"}],
)  # fmt: skip
def test_a_field_that_no_card_may_have_is_refused(ledger: Ledger, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        ledger.boards.update_card("card", revision=1, **fields)
    assert ledger.boards.card("card").revision == 1


def test_a_claim_contradicts_any_other_status(ledger: Ledger) -> None:
    run = ledger.start_run()
    with pytest.raises(InvalidInput):
        ledger.boards.update_card("card", revision=1, run_id=run.id, status="done")
    with pytest.raises(NotFound):
        ledger.boards.update_card("card", revision=1, run_id="nobody")


def test_boards_change_by_revision_and_long_bodies_come_back(ledger: Ledger) -> None:
    board = ledger.boards.update("board", title="new", revision=1)
    assert (board.title, board.revision) == ("new", 2)
    with pytest.raises(RevisionConflict):
        ledger.boards.update("board", title="lost", revision=1)
    body = "ä" * 10_000
    assert ledger.boards.update_card("card", revision=1, body=body).body == body
    assert ledger.boards.update_card("card", revision=2, body="short").body == "short"
    assert ledger.boards.update_card("card", revision=3, body=None).body in (None, "")

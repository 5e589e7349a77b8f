"""Full-text search: titles, prompts, summaries, errors and messages; nothing that is typed breaks it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runstone
from runstone.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with runstone.open(tmp_path) as ledger:
        yield ledger


def sources(ledger: Ledger, query: str) -> list[str]:
    return sorted(hit.source for hit in ledger.search(query))


def test_each_kind_of_text_is_found(ledger: Ledger) -> None:
    with ledger.start_run(title="the alpha title", prompt="a beta prompt " + "x " * 300) as run:
        run.message("user", "a gamma message")
        run.message("user", "long " * 2_000 + "delta")
        run.complete(summary="an epsilon summary")
    with pytest.raises(ValueError, match="zeta"), ledger.start_run():
        raise ValueError("a zeta error")
    found = {word: ledger.search(word) for word in ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")}
    assert {word: [hit.source for hit in hits] for word, hits in found.items()} == {
        "alpha": ["title"], "beta": ["prompt"], "gamma": ["message"], "delta": ["message"], "epsilon": ["summary"],
        "zeta": ["error"],
    }  # fmt: skip
    assert found["beta"][0].excerpt.startswith("a beta prompt")
    assert found["gamma"][0].message_id == f"{run.worker_thread_id}#1"
    assert found["zeta"][0].excerpt == "a zeta error"
    assert sources(ledger, "ALPHA title") == ["title"]
    assert sources(ledger, "alpha gamma") == []


def test_after_an_edit_only_the_new_title_is_found(ledger: Ledger) -> None:
    with ledger.start_run(title="first") as run:
        run.update(title="second").result()
        run.update(title="third").result()
    assert (sources(ledger, "first"), sources(ledger, "second"), sources(ledger, "third")) == (
        [],
        [],
        ["title"],
    )
    assert ledger.reader.db.rows("texts_of_run", run=1, source="title") != []
    assert len(ledger.reader.db.rows("texts_of_run", run=1, source="title")) == 1


def test_what_was_pruned_or_removed_is_found_no_more(ledger: Ledger) -> None:
    with ledger.start_run(title="kept title") as run:
        run.message("user", "gone message")
    ledger.care.prune(run.id)
    assert (sources(ledger, "gone"), sources(ledger, "kept")) == ([], ["title"])
    ledger.care.remove(run.id)
    assert sources(ledger, "kept") == []


@pytest.mark.parametrize(
    "query",
    ['"', '""', "*", "a*", "NEAR(a b)", "a AND", "OR", "NOT a", "col:a", "(", ")", "^a", "a + b", "-a", "'", ";--",
     "\x00", "a\x00b", "\ud800", "{a b}:c", " ", "", "a" * 100_000, "a " * 10_000, "%", "_", "ß", "日本"],
)  # fmt: skip
def test_a_hostile_query_is_only_words(ledger: Ledger, query: str) -> None:
    with ledger.start_run(title="a b near or not and"):
        assert isinstance(ledger.search(query), list)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(query=st.text(max_size=20))
def test_any_text_may_be_asked_for(ledger: Ledger, query: str) -> None:
    assert isinstance(ledger.search(query), list)

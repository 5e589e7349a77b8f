"""`usage`, `usage reprice`, and what lists and trees say of costs: exact for programs, and honest for people."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import runstone
from runstone.cli import usage_tables
from runstone.cli.text import width
from runstone.domain.records import Totals, UsageRow
from runstone.engine import prices
from runstone.store.sqlite.database import SQLiteDatabase
from runstone.testing.clock import FakeClock
from tests.cli.conftest import Shell, Typed
from tests.cli.test_terminal import Window
from tests.cli.test_text import obeyed

FIRST = datetime(2026, 10, 1, 12, tzinfo=UTC)
HAIKU = {"provider": "anthropic", "model": "claude-haiku-4-5"}  # 1 USD and 5 USD per million tokens
WORDS = [("usage",), ("usage", "--by", "agent", "--by", "model"), ("usage", "--by", "label:te am"),
         ("usage", "--by", "run"), ("usage", "reprice", "--dry-run")]  # fmt: skip


def record(root: Path) -> None:
    """A lead with a helper, over three days; what the helper reports has no cost yet. Names are hostile."""
    clock = FakeClock(int(FIRST.timestamp()) * 10**6)
    with runstone.open(root, clock=clock, lease_s=10**7) as ledger, pytest.MonkeyPatch.context() as patch:
        patch.setattr(prices._State, "prices", None)
        patch.setattr(prices._State, "why", "it is not installed")
        lead = ledger.start_run(run_id="lead-run", agent_id="lead", labels={"te am": "red\x1b[2J"})
        helper = ledger.start_run(run_id="helper-run", agent_id="=helper", parent=lead)
        for number in range(3):
            lead.usage(provider="p", model="m\u202e\x1b]0;x\x07", input_tokens=100, cost_usd="0.000000000001")
            helper.usage(**HAIKU, input_tokens=1_000 * (number + 1), output_tokens=200, reasoning_tokens=50)
            helper.usage(provider="nobody", model="knows, really", input_tokens=7).result()
            clock.advance(86_400)
        helper.complete()
        lead.complete().result()


PRICED = (1_000 + 2_000 + 3_000) * 10**6 + 3 * 200 * 5 * 10**6


@pytest.fixture(scope="module")
def spent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("spent")
    record(root)
    return root


@pytest.fixture
def typed(spent: Path) -> Typed:
    return Typed(spent)


@pytest.fixture
def own(tmp_path: Path) -> Typed:
    """A workspace that the test may change."""
    record(tmp_path)
    return Typed(tmp_path)


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_what_names_hold_is_harmless_in_every_form(typed: Typed, words: tuple[str, ...]) -> None:
    forms = [(), ("--json",), ("--jsonl",), *([("--csv",)] if "reprice" not in words else [])]
    for form in forms:
        result = typed(*words, *form)
        assert result.stdout
        assert obeyed(result.stdout) <= {"\n"}
        assert obeyed(result.stderr) <= {"\n"}


def test_a_report_by_day_has_the_days_of_utc_a_total_and_bars(typed: Typed) -> None:
    lines = typed("usage").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["day", "2026-10-01", "2026-10-02", "2026-10-03", "total"]
    assert lines[0].endswith("by cost")
    assert lines[-1].split()[1:] == ["9", "6.3k", "600", "150", "6.9k", "≥<$0.0001", "mixed"]
    assert "█" in lines[1]
    assert "█" not in lines[-1]


def test_sums_with_unknown_costs_are_marked_at_every_level_and_never_zero(typed: Typed) -> None:
    noted = "reprice --dry-run"
    report = typed("usage", "--by", "model")
    assert "≥ or unknown: the cost of 6 of 9 requests is unknown" in report.stderr
    assert [line.split()[-2] for line in report.stdout.splitlines() if "unknown" in line] == [
        "unknown",
        "unknown",
    ]
    tree = typed("runs", "tree", "lead-run")
    assert noted in tree.stderr
    lead, helper = tree.stdout.splitlines()[1:]
    assert "≥<$0.0001" in lead
    assert "unknown" in helper
    listed = typed("runs", "list")
    assert noted in listed.stderr
    assert "≥<$0.0001" in listed.stdout
    assert "$0 " not in report.stdout + tree.stdout + listed.stdout
    assert typed("usage", "--model", "m\u202e\x1b]0;x\x07").stderr == ""


def test_programs_get_exact_values(typed: Typed) -> None:
    (lead,) = typed_json(typed, "runs", "list")["items"]
    assert (lead["own"]["cost_picousd"], lead["own"]["cost_source"], lead["own"]["complete"]) == (
        3,
        "reported",
        True,
    )
    assert (lead["subtree"]["cost_usd"], lead["subtree"]["complete"]) == (3e-12, False)
    tree = typed_json(typed, "runs", "tree", "lead-run")
    (helper,) = tree["children"]
    assert (helper["own"]["cost_usd"], helper["own"]["cost_source"], helper["own"]["tokens"]) == (
        None,
        "unknown",
        6_621,
    )
    report = typed_json(typed, "usage", "--by", "agent", "--by", "provider")
    assert report["by"] == ["agent", "provider"]
    assert sum(item["requests"] for item in report["items"]) == report["total"]["requests"] == 9
    rows = list(csv.DictReader(io.StringIO(typed("usage", "--by", "model", "--csv").stdout)))
    assert [(row["model"][:1], row["cost_usd"], row["complete"]) for row in rows] == [
        ("m", "0.000000000003", "true"), ("c", "", "false"), ("k", "", "false"),
    ]  # fmt: skip
    assert rows[2]["model"] == "knows, really"


def typed_json(typed: Typed, *words: str) -> Any:
    return json.loads(typed(*words, "--json").stdout)


@pytest.mark.parametrize(
    ("words", "requests"),
    [
        (("--since", "2026-10-02"), 6), (("--until", "2026-10-02"), 6),
        (("--since", "2026-10-02", "--until", "2026-10-02"), 3),
        (("--since", "2026-10-01T12:00:01"), 6), (("--since", "2026-10-01T14:00:01+02:00"), 6),
        (("--agent", "lead"), 3), (("--run", "helper"), 6), (("--run", "lead-run"), 9),
        (("--label", "te am=red\x1b[2J"), 9), (("--label", "a=b"), 0),
        (("--provider", "nobody", "--provider", "p"), 6), (("--thread", "x"), 0), (("--workflow", "x"), 0),
    ],
)  # fmt: skip
def test_filters_leave_out_what_does_not_fit(typed: Typed, words: tuple[str, ...], requests: int) -> None:
    assert typed_json(typed, "usage", *words)["total"]["requests"] == requests
    if not requests:
        assert "no request fits" in typed("usage", *words).stderr


def test_the_last_days_are_whole_days_and_the_last_hours_are_hours(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    begin = datetime(now.year, now.month, now.day, tzinfo=UTC) - timedelta(days=1)
    for at in (begin - timedelta(seconds=1), begin, now - timedelta(hours=30)):
        with (
            runstone.open(tmp_path, clock=FakeClock(int(at.timestamp() * 10**6))) as ledger,
            ledger.start_run() as run,
        ):
            run.usage(provider="p", model="m", input_tokens=1, cost_usd=1)
    found = 2 if now - timedelta(hours=30) >= begin else 1
    assert typed_json(Typed(tmp_path), "usage", "--since", "2d")["total"]["requests"] == found
    assert typed_json(Typed(tmp_path), "usage", "--since", "60h")["total"]["requests"] == 3
    assert typed_json(Typed(tmp_path), "usage", "--since", "1h")["total"]["requests"] == 0


@pytest.mark.parametrize(
    "words",
    [("--by", "colour"), ("--by", "label:"), ("--since", "soon"), ("--since", "999999d9"), ("--until", "2026-13-01"),
     ("--label", "x"), ("--csv", "--json"), ("--limit", "0"), ("reprice", "--by", "day"), ("reprice",)],
)  # fmt: skip
def test_what_makes_no_report_is_a_usage_error(typed: Typed, words: tuple[str, ...]) -> None:
    assert "Traceback" not in typed("usage", *words, code=2).stderr


def test_an_empty_ledger_teaches_how_to_report(tmp_path: Path) -> None:
    runstone.open(tmp_path).close()
    result = Typed(tmp_path)("usage")
    assert result.stdout == ""
    assert "run.usage(" in result.stderr
    assert typed_json(Typed(tmp_path), "usage")["items"] == []


def test_a_limit_keeps_the_latest_days_and_else_what_cost_most(typed: Typed) -> None:
    days = typed("usage", "--limit", "1")
    assert [line.split()[0] for line in days.stdout.splitlines()] == ["day", "2026-10-03"]
    assert "2 more lines" in days.stderr
    models = typed("usage", "--by", "agent", "--limit", "1").stdout.splitlines()
    assert models[1].split()[0] == "lead"


# --- repricing ---------------------------------------------------------------------------------------------------


def test_repricing_shows_old_and_new_and_needs_a_yes(own: Typed) -> None:
    dry = own("usage", "reprice", "--dry-run")
    assert "3 requests would change by genai-prices" in dry.stderr
    rows = [line.split() for line in dry.stdout.splitlines()]
    assert rows[1] == ["anthropic", "claude-haiku-4-5", "3", "3", "unknown", "$0.0090"]
    assert rows[2][-3:] == ["unknown", "unknown", "3"]
    refused = own("usage", "reprice", code=2)
    assert "--yes" in refused.stderr
    own("usage", "reprice", "--json", code=2)
    assert typed_json(own, "usage", "--by", "model")["total"]["cost_picousd"] == 3
    done = typed_json(own, "usage", "reprice", "--yes")
    assert (done["dry_run"], done["prices"]) == (False, prices.load().basis)
    assert [item["changed"] for item in done["items"]] == [3, 0]
    total = typed_json(own, "usage")["total"]
    assert (total["cost_picousd"], total["unknown_costs"], total["priced_costs"]) == (3 + PRICED, 3, 3)
    assert "nothing to change" in own("usage", "reprice").stderr
    own("verify")


def test_repricing_asks_on_a_terminal(shell: Shell) -> None:
    record(shell.folder)
    window = Window(shell, "usage", "reprice")
    window.until("Change the cost of 3 requests?")
    window.type("n\n")
    assert window.end() == 130
    window = Window(shell, "usage", "reprice")
    window.until("Change the cost of 3 requests?")
    window.type("y\n")
    assert window.end() == 0
    assert "3 requests changed" in window.plain


def test_without_prices_it_says_what_to_install(own: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices._State, "prices", None)
    monkeypatch.setattr(prices._State, "why", "it is not installed")
    assert "pip install 'runstone[prices]'" in own("usage", "reprice", "--dry-run", code=1).stderr


# --- drawing -----------------------------------------------------------------------------------------------------


@pytest.fixture
def rows() -> list[UsageRow]:
    costs = {"big": 10 * 10**12, "half": 5 * 10**12, "tiny": 1, "none": 0}
    return [
        UsageRow(
            by={"model": name},
            totals=Totals(requests=1, input_tokens=5, cost_picousd=cost, unknown_costs=int(not cost)),
        )
        for name, cost in costs.items()
    ]


@pytest.mark.parametrize("columns", [None, *range(30, 140, 5)])
def test_a_chart_fits_its_terminal(rows: list[UsageRow], columns: int | None) -> None:
    table = usage_tables.usage_table(["model"], rows, usage_tables.total_of(rows))
    lines = usage_tables.charted(table, rows, columns)
    texts = ["  ".join(cell.text for cell in line).rstrip() for line in lines]
    assert len(lines) == 6
    if columns is not None:
        assert max(map(width, texts)) <= columns
    if columns is None or columns >= 80:
        lengths = [text.count("█") + text.count("▌") / 2 for text in texts[1:]]
        assert lengths[0] == 2 * lengths[1] > lengths[2] == 0.5
        assert lengths[3:] == [0, 0]


@pytest.mark.parametrize("how", [{"NO_COLOR": "1"}, {}])
def test_the_chart_needs_no_colour(shell: Shell, how: dict[str, str]) -> None:
    record(shell.folder)
    window = Window(shell, "usage", "--by", "model", columns=110, **how)
    assert window.end() == 0
    assert "█" in window.plain
    assert ("\x1b[3" in window.seen) is not bool(how)
    assert all(width(line) <= 110 for line in window.plain.splitlines())


def test_a_terminal_without_symbols_gets_a_chart_too(shell: Shell) -> None:
    record(shell.folder)
    shell.env["PYTHONIOENCODING"] = "ascii"
    shown = shell("usage", "--by", "model").out
    assert "###" in shown
    assert shown.isascii()


def test_a_page_of_runs_takes_the_same_queries_whatever_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    query = SQLiteDatabase.query

    def counting(db: SQLiteDatabase, sql: str, params: Any = None) -> list[Any]:
        asked.append(sql)
        return query(db, sql, params)

    with runstone.open(tmp_path) as ledger:
        for number in range(40):
            with ledger.start_run(title=f"Run {number}") as run:
                run.usage(provider="p", model="m", input_tokens=1, cost_usd=1)
    monkeypatch.setattr(SQLiteDatabase, "query", counting)
    counts = []
    for limit in ("3", "40"):
        asked.clear()
        assert Typed(tmp_path)("runs", "list", "--limit", limit).stdout.count("Run ") == int(limit)
        counts.append(len(asked))
    assert counts[0] == counts[1]

"""`runs diff`: two runs side by side, or a fork and its source."""

from collections.abc import Iterator
from typing import Final

import click

from runstone.cli import checkpoint_lines, text
from runstone.cli.arguments import RunId
from runstone.cli.command import Command, with_any_session
from runstone.cli.output import Output
from runstone.cli.run_tables import status_cell
from runstone.cli.session import Session
from runstone.cli.table import Cell, Column, Table
from runstone.domain.comparison import Comparison, Facts, Pair, Part, PhaseSide
from runstone.domain.state_diff import StateDiff

_SHOWN: Final = 50
"""Pairs that are shown; --json has more."""

_CHANGES: Final = 20
"""Lines of differing values that are shown of a pair."""

_SIGNS: Final = {
    "same": ("=", "dim"),
    "changed": ("~", "warn"),
    "only_a": ("-", "bad"),
    "only_b": ("+", "good"),
}
_WORDS: Final = {
    "same": "same",
    "changed": "changed",
    "only_a": "only in the first",
    "only_b": "only in the second",
}


@click.command(cls=Command)
@click.argument("a", type=RunId(), metavar="RUN")
@click.argument("b", type=RunId(), metavar="[OTHER]", required=False)
@with_any_session
def diff(session: Session, a: str, b: str | None) -> None:
    """Compare two runs.

    Phases, children and steps are aligned, and what differs is shown: input, result, status, tokens, cost and time.
    With one run, a fork is compared with its source, and a source with its newest fork.
    """
    output = session.output
    with session.reading() as ledger:
        found = ledger.compare(ledger.resolve(a), None if b is None else ledger.resolve(b))
    if output.mode == "json":
        return output.document(found)
    if output.mode == "jsonl":
        return output.items(found.pairs)
    return _show(output, found)


def _show(output: Output, found: Comparison) -> None:
    output.table(facts_table(found))
    for title, table in (
        ("phases", phase_table(found)),
        ("children and steps that differ", pair_table(found)),
    ):
        if table.rows:
            output.line("")
            output.line(Cell(title, "head"))
            output.table(table)
    left = found.more + max(0, len(found.pairs) - _SHOWN)
    if left:
        output.note(f"and {left:,} more; --json has {'all' if not found.more else 'more'} of them")
    for cell in value_lines(found):
        output.line(cell)
    if found.same:
        output.note("input, result and all parts are the same", "")


def facts_table(found: Comparison) -> Table:
    """Both runs as wholes, and by how much the second differs."""
    table = Table(
        [Column(""), Column("first", least=12), Column("second", least=12), Column("difference", 1)], []
    )
    a, b = found.a, found.b
    table.add(Cell("run", "dim"), text.short_id(a.run_id), text.short_id(b.run_id), _relation(a, b))
    table.add(
        Cell("name", "dim"),
        *(_named(one) for one in (a, b)),
        "" if a.version == b.version else "another version",
    )
    table.add(Cell("status", "dim"), status_cell(a.status), status_cell(b.status), "")
    if a.error or b.error:
        table.add(Cell("error", "dim"), a.error or "", b.error or "", "")
    table.add(
        Cell("tokens", "dim"),
        text.tokens(a.tokens),
        text.tokens(b.tokens),
        _more(b.tokens - a.tokens, text.tokens),
    )
    cost = "" if a.cost_complete and b.cost_complete else "≥ "
    more = _more(b.cost_picousd - a.cost_picousd, text.money)
    table.add(Cell("cost", "dim"), cost + text.money(a.cost_picousd), cost + text.money(b.cost_picousd), more)
    took = _more(b.elapsed_ms - a.elapsed_ms, text.duration)
    table.add(Cell("time", "dim"), text.duration(a.elapsed_ms), text.duration(b.elapsed_ms), took)
    told = ", ".join(f"{count:,} {_WORDS[standing]}" for standing, count in sorted(found.counts.items()))
    table.add(Cell("parts", "dim"), "", "", told or "none")
    return table


def _named(facts: Facts) -> str:
    version = f" ({facts.version[:12]})" if facts.version else ""
    return f"{facts.name or ''}{version}"


def _relation(a: Facts, b: Facts) -> str:
    for source, fork, words in ((a, b, "a fork of the first"), (b, a, "the first is a fork of it")):
        if fork.forked_from == source.run_id:
            at = fork.forked_from_checkpoint
            return words if at is None else f"{words}, at checkpoint {at}"
    return "forks of one run" if a.forked_from is not None and a.forked_from == b.forked_from else ""


def _more(difference: int, shown: object) -> str:
    """`+1.2k` or `-$0.03`; nothing for none."""
    assert callable(shown)
    return "" if not difference else f"{'+' if difference > 0 else '-'}{shown(abs(difference))}"


def phase_table(found: Comparison) -> Table:
    """A row for each phase."""
    table = Table(
        [
            Column("phase", least=8),
            Column("first", 1),
            Column("second", 1),
            Column("parts"),
            Column("tokens", 2, right=True),
            Column("cost", 2, right=True),
            Column("time", 3, right=True),
        ],
        [],
    )
    if all(pair.name is None for pair in found.phases):
        return table
    for pair in found.phases:
        a, b = pair.a, pair.b
        parts = ", ".join(f"{count:,} {_WORDS[standing]}" for standing, count in sorted(pair.counts.items()))
        nothing = PhaseSide(status=None, parts=0, reused=0, tokens=0, cost_picousd=0, elapsed_ms=None)
        one, other = a or nothing, b or nothing
        took = (
            ""
            if one.elapsed_ms is None or other.elapsed_ms is None
            else _more(other.elapsed_ms - one.elapsed_ms, text.duration)
        )
        table.add(
            Cell("(none)", "dim") if pair.name is None else Cell(pair.name, "strong"),
            _status(a),
            _status(b),
            parts,
            _more(other.tokens - one.tokens, text.tokens),
            _more(other.cost_picousd - one.cost_picousd, text.money),
            took,
        )
    return table


def _status(side: PhaseSide | None) -> Cell | str:
    if side is None:
        return Cell("not in it", "dim")
    return "" if side.status is None else status_cell(side.status)


def pair_table(found: Comparison) -> Table:
    """A row for each pair that differs, up to a bound."""
    table = Table(
        [
            Column("what"),
            Column("kind", 3),
            Column("name", least=12),
            Column("phase", 2, least=8),
            Column("first", 1),
            Column("second", 1),
            Column("tokens", 3, right=True),
            Column("cost", 3, right=True),
            Column("time", 4, right=True),
        ],
        [],
    )
    for pair in found.pairs[:_SHOWN]:
        sign, style = _SIGNS[pair.standing]
        one = pair.b or pair.a
        assert one is not None
        name = f"{one.name}: {one.title}" if one.title else one.name
        table.add(
            Cell(f"{sign} {_WORDS[pair.standing]}", style),
            one.kind,
            name,
            one.phase or "",
            *map(_standing, (pair.a, pair.b)),
            *_deltas(pair),
        )
    return table


def _standing(part: Part | None) -> Cell | str:
    if part is None:
        return ""
    return Cell("reused", "dim") if part.reused else status_cell(part.status)


def _deltas(pair: Pair) -> tuple[str, str, str]:
    a, b = pair.a, pair.b
    if a is None or b is None:
        one = b or a
        assert one is not None
        took = "" if one.elapsed_ms is None else text.duration(one.elapsed_ms)
        return (
            text.tokens(one.tokens) if one.tokens else "",
            text.money(one.cost_picousd) if one.cost_picousd else "",
            took,
        )
    took = (
        ""
        if a.elapsed_ms is None or b.elapsed_ms is None
        else _more(b.elapsed_ms - a.elapsed_ms, text.duration)
    )
    return _more(b.tokens - a.tokens, text.tokens), _more(b.cost_picousd - a.cost_picousd, text.money), took


def value_lines(found: Comparison) -> Iterator[Cell]:
    """What differs in inputs and results: of the runs, then of the first pairs that differ."""
    yield from _changes("input", found.input)
    yield from _changes("result", found.result)
    for pair in found.pairs[:_SHOWN]:
        name = text.clean(pair.b.title or pair.b.name) if pair.b is not None else ""
        for what, changes in (("input", pair.input), ("result", pair.result)):
            if changes is not None:
                yield from _changes(f"{what} of {name}", changes)


def _changes(title: str, found: StateDiff) -> Iterator[Cell]:
    if not found.changes:
        return
    yield Cell("")
    yield Cell(f"{title}: {checkpoint_lines.summary(found)}", "head")
    cells = list(checkpoint_lines.lines(found))
    yield from cells[:_CHANGES]
    if len(cells) > _CHANGES:
        yield Cell(f"… {len(cells) - _CHANGES:,} more lines; --json has them", "dim")

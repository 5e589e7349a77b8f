"""The general text check names every planted fault at its line, and nothing else."""

import pytest

from runstone.audit.text_checks import LONG_LINE, check_text, count_lines, kind_of


def rules(name: str, data: bytes) -> list[tuple[str, int]]:
    return [(finding["rule"], finding["line"]) for finding in check_text(name, data)]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", b"", []),
        ("a.txt", b"one\ntwo\n", []),
        ("a.txt", "smile \U0001f600\n".encode(), []),
        ("a.txt", b"one \ntwo\t\nthree\n", [("trailing-whitespace", 1), ("trailing-whitespace", 2)]),
        ("a.md", b"a hard break  \nnext\n", []),
        ("a.txt", b"one\r\ntwo\n", [("mixed-line-endings", 0)]),
        ("a.txt", b"one\rtwo\n", [("mixed-line-endings", 0)]),
        ("a.txt", b"one\r\ntwo\r\n", [("not-lf", 0)]),
        ("a.bat", b"one\r\ntwo\r\n", []),
        ("a.txt", b"one\ntwo", [("no-final-newline", 2)]),
        ("a.txt", b"one\n\xff\xfftwo\n", [("invalid-utf-8", 2)]),
        ("a.txt", b"x" * LONG_LINE + b"\n" + b"x" * (LONG_LINE + 1) + b"\n", [("long-line", 2)]),
        ("a.txt", "é".encode() * LONG_LINE + b"\n", []),  # counted in characters, not in bytes
        ("a.txt", b"Title\n=======\ntext\n", []),  # an underline
        ("a.txt", b"<<<<<<< mine\na\n=======\nb\n>>>>>>> theirs\n", [("conflict-marker", 1)]),
        ("a.txt", b"> quoting a lone <<<<<<< marker\n<<<<<<< it\n", []),
        ("a.json", b'{"a": [1, 2}\n', [("invalid-json", 1)]),
        ("a.json", b'{"a": 1}\n', []),
        ("tsconfig.json", b"{ // comment\n}\n", []),
        ("a.json", b"[" * 200_000 + b"\n", None),
        ("a.toml", b"a = 1\nb = = 2\n", [("invalid-toml", 2)]),
        ("a.toml", b"a = 1\n", []),
        ("a.toml", b"a = '\xff'\n", [("invalid-toml", 0), ("invalid-utf-8", 1)]),
    ],
)
def test_a_fault_is_named_at_its_line(name: str, data: bytes, expected: list[tuple[str, int]] | None) -> None:
    found = rules(name, data)
    if expected is None:  # too deep for the parser: a finding, not a crash
        assert ("invalid-json", 0) in found or ("invalid-json", 2) in found
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.py", b"x = 1\n", "python"),
        ("a.pyi", b"", "python"),
        ("tool", b"#!/usr/bin/env python3\n", "python"),
        ("tool", b"#!/bin/sh\npython x\n", "text"),
        ("a.bin", b"\x00\x01", "binary"),
        ("a.txt", "text".encode("utf-16"), "binary"),
        ("a.py", b"x = 1\0\n", "python"),  # the interpreter refuses it: that is a finding
    ],
)
def test_the_kind_follows_name_and_bytes(name: str, data: bytes, kind: str) -> None:
    assert kind_of(name, data) == kind


@pytest.mark.parametrize(
    ("data", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"a\r\nb\r\n", 2), (b"\n", 1)]
)
def test_lines_are_counted_as_an_editor_does(data: bytes, lines: int) -> None:
    assert count_lines(data) == lines

"""Crash tests tell what they did (seeds, stages, waits), also where they pass: it is printed after the results."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = [
        f"{report.nodeid.rpartition('::')[2]}: {text}"
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, text in report.user_properties
        if name == "told"
    ]
    if told:
        terminalreporter.section("what the crash tests did")
        for line in told:
            terminalreporter.write_line(line)

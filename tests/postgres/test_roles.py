"""The database's roles: a worker executes and takes no history away, a reader changes nothing."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import runstone
from runstone.errors import RightsMissing, StoreReadOnly
from runstone.store.postgres import roles
from tests.postgres import server


@pytest.fixture
def users(dsn: str) -> Iterator[dict[str, str]]:
    """For each role the DSN of a user who has it."""
    assert list(roles.make(dsn)) == list(roles.ROLES)
    assert roles.make(dsn) == roles.ROLES  # again, as after an upgrade
    name = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    found = {}
    with psycopg.connect(dsn, autocommit=True) as admin:
        for role in roles.ROLES:
            user = f"{name}_{role}"
            admin.execute(f'CREATE ROLE "{user}" LOGIN IN ROLE {role}')
            found[role.removeprefix("runstone_")] = make_conninfo(dsn, user=user)
    yield found
    server.drop(dsn)
    with psycopg.connect(server.server(), autocommit=True) as admin:
        for role in roles.ROLES:
            admin.execute(f'DROP ROLE "{name}_{role}"')


def registry() -> runstone.Registry:
    made = runstone.Registry()

    @made.agent("reader")
    async def reader(ctx: Any, input: Any) -> Any:
        await ctx.usage(provider="p", model="m", input_tokens=3, request_id=ctx.run_id)
        await ctx.message("assistant", f"read {input}")
        await ctx.checkpoint({"turns": [input]})
        return input

    @made.workflow("reading", version="1")
    async def reading(ctx: Any, input: Any) -> Any:
        listed = await ctx.step("list", lambda: ["a", "b"])
        return await ctx.map("reader", listed)

    return made


def test_a_worker_executes_runs_and_removes_none(users: dict[str, str]) -> None:
    with runstone.open(users["worker"]) as ledger:
        made = registry()
        assert asyncio.run(runstone.run("reading", {}, ledger=ledger, registry=made, run_id="r")) == [
            "a",
            "b",
        ]
        for change in (ledger.care.prune, ledger.care.remove):
            with pytest.raises(RightsMissing):
                change("r")
        assert ledger.care.verify() == []
    with psycopg.connect(users["worker"]) as raw, pytest.raises(psycopg.errors.InsufficientPrivilege):
        raw.execute("DELETE FROM events")


def test_a_server_removes_runs_and_does_not_change_the_schema(users: dict[str, str]) -> None:
    with runstone.open(users["server"]) as ledger:
        asyncio.run(runstone.run("reading", {}, ledger=ledger, registry=registry(), run_id="r"))
        assert ledger.care.remove("r") == 3
        assert ledger.care.verify() == []
    for change in ("DELETE FROM migrations", "DROP TABLE events", "ALTER TABLE runs ADD COLUMN x bigint"):
        with psycopg.connect(users["server"]) as raw, pytest.raises(psycopg.errors.InsufficientPrivilege):
            raw.execute(change)


def test_a_reader_reads_and_writes_nothing(users: dict[str, str]) -> None:
    with (
        runstone.open(users["server"]) as ledger,
        ledger.start_run(run_id="r", parent=None, title="Look here"),
    ):
        pass
    with runstone.open(users["reader"], readonly=True) as ledger:
        assert ledger.get_run("r").title == "Look here"
        assert [hit.run_id for hit in ledger.search("look")] == ["r"]
        assert ledger.care.verify() == []
        with pytest.raises(StoreReadOnly):
            ledger.update_run("r", title="x")
    with pytest.raises(RightsMissing):
        runstone.open(users["reader"]).start_run(run_id="mine", parent=None)


def test_roles_are_made_by_who_may_only(users: dict[str, str]) -> None:
    with pytest.raises(RightsMissing):
        roles.make(users["server"])

"""The other side of `bench/checkpoints.py`, in a process of its own: LangGraph's SqliteSaver on the same conversation.

`python langgraph_turns.py FILE list|delta TURNS SIZE` prints a line of JSON: seconds for the turns, for loading the
newest state, and for the history list, and the bytes of the closed files.
"""

import json
import operator
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from bench.conversation import message, prose


def joined(state: list[Any], writes: Sequence[list[Any]]) -> list[Any]:
    """The list with all that was added to it."""
    return [*state, *(item for write in writes for item in write)]


class Listed(TypedDict):
    messages: Annotated[list[Any], operator.add]


class Delta(TypedDict):
    messages: Annotated[list[Any], DeltaChannel(joined)]


def main(path: Path, kind: str, turns: int, size: int) -> None:
    connection = sqlite3.connect(path, check_same_thread=False)
    graph = StateGraph(Delta if kind == "delta" else Listed)
    graph.add_node("turn", lambda state: {})
    graph.add_edge(START, "turn")
    graph.add_edge("turn", END)
    app = graph.compile(checkpointer=SqliteSaver(connection))
    config: Any = {"configurable": {"thread_id": "one"}}
    started = time.perf_counter()
    for turn, text in enumerate(prose(turns, size)):
        app.invoke({"messages": [message(turn, text)]}, config)
    told: dict[str, Any] = {"turns_s": time.perf_counter() - started}
    loads = []
    for _ in range(7):
        started = time.perf_counter()
        assert len(app.get_state(config).values["messages"]) == turns
        loads.append(time.perf_counter() - started)
    told["load_s"] = sorted(loads)[3]
    if kind == "list":
        started = time.perf_counter()
        told["states"] = sum(1 for _ in app.get_state_history(config))
        told["history_s"] = time.perf_counter() - started
    connection.close()
    told["bytes"] = sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

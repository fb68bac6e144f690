"""The checkpoint file: strict, small, forgetful."""

from pathlib import Path
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.serde.jsonplus import (
    EXT_CONSTRUCTOR_KW_ARGS,
    EXT_CONSTRUCTOR_POS_ARGS,
    EXT_CONSTRUCTOR_SINGLE_ARG,
    JsonPlusSerializer,
)
from langgraph.checkpoint.sqlite import SqliteSaver

from agent.memory import open_memory, require_strict

CONFIG: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


def attack(marker: Path, kind: int) -> bytes:
    """A stored value that asks the reader to run a shell command."""
    command = f"touch {marker}"
    arguments: dict[int, Any] = {
        EXT_CONSTRUCTOR_SINGLE_ARG: command,
        EXT_CONSTRUCTOR_POS_ARGS: [command],
        EXT_CONSTRUCTOR_KW_ARGS: {"command": command},
    }
    inner = ormsgpack.packb(("os", "system", arguments[kind]))
    return ormsgpack.packb({"channel_values": {"x": ormsgpack.Ext(kind, inner)}, "id": "1"})


def put(saver: SqliteSaver, thread: str, number: int) -> None:
    config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
    checkpoint: Any = {"id": f"{number:05}", "channel_values": {"n": number}}
    saver.put(config, checkpoint, {}, {})
    config["configurable"]["checkpoint_id"] = f"{number:05}"
    saver.put_writes(config, [("x", number)], task_id="t1")


def count(saver: SqliteSaver, table: str) -> int:
    return int(saver.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize(
    "kind", [EXT_CONSTRUCTOR_SINGLE_ARG, EXT_CONSTRUCTOR_POS_ARGS, EXT_CONSTRUCTOR_KW_ARGS]
)
@pytest.mark.parametrize("table", ["checkpoints", "writes"])
def test_a_planted_command_is_not_run(tmp_path: Path, kind: int, table: str) -> None:
    marker = tmp_path / "owned"
    saver = open_memory(tmp_path / "memory.db")
    put(saver, "t", 1)
    column = "checkpoint" if table == "checkpoints" else "value"
    saver.conn.execute(f"UPDATE {table} SET type='msgpack', {column}=?", (attack(marker, kind),))
    saver.conn.commit()

    saver.get_tuple(CONFIG)
    list(saver.list(CONFIG))

    assert not marker.exists()
    saver.conn.close()


def test_the_attack_is_real(tmp_path: Path) -> None:
    marker = tmp_path / "owned"

    JsonPlusSerializer(allowed_msgpack_modules=True).loads_typed(
        ("msgpack", attack(marker, EXT_CONSTRUCTOR_SINGLE_ARG))
    )

    assert marker.exists()


def test_a_trusting_serializer_is_refused() -> None:
    require_strict(JsonPlusSerializer(allowed_msgpack_modules=None))

    with pytest.raises(RuntimeError, match="allowed_msgpack_modules"):
        require_strict(JsonPlusSerializer(allowed_msgpack_modules=True))


def test_keeps_the_newest_of_each_thread(tmp_path: Path) -> None:
    saver = open_memory(tmp_path / "memory.db")
    for number in range(1, 51):
        put(saver, "t", number)
        put(saver, "u", number)

    newest = saver.get_tuple(CONFIG)

    assert newest is not None
    assert newest.checkpoint["channel_values"] == {"n": 50}
    assert newest.pending_writes == [("t1", "x", 50)]
    assert (count(saver, "checkpoints"), count(saver, "writes")) == (2, 2)
    saver.delete_thread("t")
    assert (count(saver, "checkpoints"), count(saver, "writes")) == (1, 1)
    saver.conn.close()


def test_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    saver = open_memory(tmp_path / "memory.db")

    assert saver.conn.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL
    assert saver.conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    saver.conn.close()

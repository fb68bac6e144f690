"""Checkpoints of conversations: an own SQLite file, a strict serializer, one row per thread.

Losing a checkpoint costs the model its memory of the thread and nothing else: orders, approvals and
messages are rows of the main database. So this file may be written without waiting for the disk.
"""

import sqlite3
from pathlib import Path

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

_KEEP_NEWEST = """
    CREATE TRIGGER IF NOT EXISTS keep_newest AFTER INSERT ON checkpoints BEGIN
        DELETE FROM checkpoints WHERE thread_id = NEW.thread_id
            AND checkpoint_ns = NEW.checkpoint_ns AND checkpoint_id < NEW.checkpoint_id;
        DELETE FROM writes WHERE thread_id = NEW.thread_id
            AND checkpoint_ns = NEW.checkpoint_ns AND checkpoint_id < NEW.checkpoint_id;
    END
"""


class Memory(SqliteSaver):
    """A saver that asks once more before it writes.

    ``configurable["may_save"]`` of a run says whether its outcome still counts: what a cancelled
    turn found out must not become the thread's memory.
    """

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint if it still counts."""
        may_save = config["configurable"].get("may_save")
        if may_save is not None and not may_save():
            return config
        return super().put(config, checkpoint, metadata, new_versions)


def open_memory(path: Path | None) -> SqliteSaver:
    """Open the checkpoint file, or an in-memory one; it keeps the newest checkpoint per thread.

    Raises:
        RuntimeError: The serializer would build arbitrary objects from a row.
    """
    connection = sqlite3.connect(
        ":memory:" if path is None else path, check_same_thread=False, timeout=10
    )
    serializer = JsonPlusSerializer(allowed_msgpack_modules=None)
    require_strict(serializer)
    saver = Memory(connection, serde=serializer)
    saver.setup()
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(_KEEP_NEWEST)
    connection.commit()
    return saver


def require_strict(serializer: JsonPlusSerializer) -> None:
    """Refuse a serializer that rebuilds objects of modules nobody listed.

    One that allows everything has nothing to add to its list, so it returns itself.

    Raises:
        RuntimeError: It is such a serializer.
    """
    if serializer.with_msgpack_allowlist([("agent", "nothing")]) is serializer:
        raise RuntimeError(
            "the checkpoint serializer rebuilds any object named in a row; "
            "construct it with allowed_msgpack_modules=None"
        )

"""Checkpoints of conversations: one row per thread, a strict serializer, apart from the records.

On SQLite they are in a file of their own, on PostgreSQL in a schema of their own. Losing a
checkpoint costs the model its memory of the thread and nothing else: orders, approvals and messages
are rows of the main database. So the file may be written without waiting for the disk.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, overload

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

if TYPE_CHECKING:
    from agent.memory_postgres import PostgresMemory

_KEEP_NEWEST = """
    CREATE TRIGGER IF NOT EXISTS keep_newest AFTER INSERT ON checkpoints BEGIN
        DELETE FROM checkpoints WHERE thread_id = NEW.thread_id
            AND checkpoint_ns = NEW.checkpoint_ns AND checkpoint_id < NEW.checkpoint_id;
        DELETE FROM writes WHERE thread_id = NEW.thread_id
            AND checkpoint_ns = NEW.checkpoint_ns AND checkpoint_id < NEW.checkpoint_id;
    END
"""


class AskingSaver(BaseCheckpointSaver[str]):
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


class Memory(AskingSaver, SqliteSaver):
    """The memory in a SQLite file."""

    def threads(self) -> list[str]:
        """Return the ids of the threads that are remembered."""
        with self.cursor(transaction=False) as cursor:
            cursor.execute("SELECT DISTINCT thread_id FROM checkpoints ORDER BY thread_id")
            return [str(row[0]) for row in cursor.fetchall()]

    def forget(self, threads: Iterable[str]) -> None:
        """Delete what is remembered of these threads."""
        for thread in threads:
            self.delete_thread(thread)

    def close(self) -> None:
        """Close the file."""
        self.conn.close()


@overload
def open_memory(where: Path | None) -> Memory: ...
@overload
def open_memory(where: Path | str | None) -> "Memory | PostgresMemory": ...


def open_memory(where: Path | str | None) -> "Memory | PostgresMemory":
    """Open the memory; it keeps the newest checkpoint per thread.

    Args:
        where: A SQLite file, the address of a PostgreSQL database, or None: in this process only.

    Raises:
        RuntimeError: The serializer would build arbitrary objects from a row.
    """
    serializer = JsonPlusSerializer(allowed_msgpack_modules=None)
    require_strict(serializer)
    if isinstance(where, str):
        from agent.memory_postgres import open_postgres_memory

        return open_postgres_memory(where, serializer)
    return _open_file(where, serializer)


def _open_file(path: Path | None, serializer: JsonPlusSerializer) -> Memory:
    connection = sqlite3.connect(
        ":memory:" if path is None else path, check_same_thread=False, timeout=10
    )
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

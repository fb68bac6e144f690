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

_PRUNE = "DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id < ?"


class LatestOnlySaver(SqliteSaver):
    """A saver that keeps the newest checkpoint of each thread."""

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint and forget the older ones."""
        saved = super().put(config, checkpoint, metadata, new_versions)
        where = saved["configurable"]
        key = (str(where["thread_id"]), where["checkpoint_ns"], where["checkpoint_id"])
        with self.cursor() as cursor:
            for table in ("checkpoints", "writes"):
                cursor.execute(_PRUNE.format(table=table), key)
        return saved


def open_memory(path: Path | None) -> LatestOnlySaver:
    """Open the checkpoint file, or an in-memory one.

    Raises:
        RuntimeError: The serializer would build arbitrary objects from a row.
    """
    connection = sqlite3.connect(
        ":memory:" if path is None else path, check_same_thread=False, timeout=10
    )
    serializer = JsonPlusSerializer(allowed_msgpack_modules=None)
    require_strict(serializer)
    saver = LatestOnlySaver(connection, serde=serializer)
    saver.setup()
    connection.execute("PRAGMA synchronous=NORMAL")
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

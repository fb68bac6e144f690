"""The memory of conversations on a PostgreSQL server: a schema of its own beside our tables.

The tables belong to ``langgraph-checkpoint-postgres`` and are made by it, so that its upgrades and
our migrations never meet. A connection that was lost is replaced on the next turn.
"""

from collections.abc import Iterable
from typing import Any, cast

from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool
from sqlalchemy.engine import make_url

from agent.memory import AskingSaver
from db.postgres import Waiting, connection_info

SCHEMA = "conversation_memory"
_LOCK_ID = 7_165_883_102  # advisory: one process makes the tables
_WAITING = Waiting(statement_timeout_s=30)
_MAKE_SCHEMA = "CREATE SCHEMA IF NOT EXISTS conversation_memory"
_KEEP_NEWEST = """
    CREATE OR REPLACE FUNCTION keep_newest() RETURNS trigger LANGUAGE plpgsql
    SET search_path = conversation_memory AS $$ BEGIN
        DELETE FROM checkpoints WHERE thread_id = NEW.thread_id
            AND checkpoint_ns = NEW.checkpoint_ns AND checkpoint_id < NEW.checkpoint_id;
        DELETE FROM checkpoint_writes WHERE thread_id = NEW.thread_id
            AND checkpoint_ns = NEW.checkpoint_ns AND checkpoint_id < NEW.checkpoint_id;
        DELETE FROM checkpoint_blobs WHERE thread_id = NEW.thread_id
            AND checkpoint_ns = NEW.checkpoint_ns AND (channel, version) NOT IN
            (SELECT key, value FROM jsonb_each_text(NEW.checkpoint -> 'channel_versions'));
        RETURN NULL;
    END $$;
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'keep_newest'
                       AND tgrelid = 'conversation_memory.checkpoints'::regclass) THEN
            CREATE TRIGGER keep_newest AFTER INSERT ON checkpoints
                FOR EACH ROW EXECUTE FUNCTION keep_newest();
        END IF;
    END $$;
"""


class PostgresMemory(AskingSaver, PostgresSaver):
    """The memory in a schema of a PostgreSQL database."""

    def threads(self) -> list[str]:
        """Return the ids of the threads that are remembered."""
        with self._cursor() as cursor:
            cursor.execute("SELECT DISTINCT thread_id FROM checkpoints ORDER BY thread_id")
            return [row["thread_id"] for row in cursor.fetchall()]

    def forget(self, threads: Iterable[str]) -> None:
        """Delete what is remembered of these threads."""
        self.prune(list(threads), strategy="delete")

    def close(self) -> None:
        """Close the connections."""
        cast(ConnectionPool[Any], self.conn).close()


def open_postgres_memory(url: str, serializer: JsonPlusSerializer) -> PostgresMemory:
    """Open the memory beside our tables; the first one makes its schema.

    Args:
        url: SQLAlchemy address of the database.
        serializer: A strict one.
    """
    info = dict(connection_info(make_url(url), waiting=_WAITING, name="quartermaster-memory"))
    info["options"] = f"{info['options']} -c search_path={SCHEMA}"
    _make_tables(info, serializer)
    pool: ConnectionPool[Connection[DictRow]] = ConnectionPool(
        kwargs=_settings(info),
        min_size=1,
        max_size=4,
        timeout=10,
        max_idle=300,
        check=ConnectionPool.check_connection,
        name="conversation-memory",
        open=True,
    )
    return PostgresMemory(pool, serde=serializer)


def _settings(info: dict[str, Any]) -> dict[str, Any]:
    return {**info, "autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}


def _make_tables(info: dict[str, Any], serializer: JsonPlusSerializer) -> None:
    """Make or upgrade the tables; of several processes that start at once, one after the other."""
    with Connection.connect(**_settings(info)) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK_ID,))
        try:
            connection.execute(_MAKE_SCHEMA)
            saver = PostgresMemory(cast("Connection[DictRow]", connection), serde=serializer)
            # An index of an empty table needs no CONCURRENTLY, which waits for all transactions.
            saver.MIGRATIONS = [step.replace(" CONCURRENTLY", "") for step in saver.MIGRATIONS]
            saver.setup()
            connection.execute(_KEEP_NEWEST, prepare=False)
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK_ID,))

"""A running REST door for tests: fixture P in a SQLite file, real HTTP on a free port."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from api.app import server_config
from api.bootstrap import System, build_system
from api.settings import Settings
from db.types import Actor
from tests.conftest import NOW
from tests.factories import make_world_p
from tools.clock import FixedClock
from tools.identity.service import actor_by_login, create_api_key

KEYS_FILE = "keys.json"


def settings_in(folder: Path, **changed: Any) -> Settings:
    """Settings of a world in a folder; its company counts in USD, as fixture P does."""
    usual = {"data_dir": folder, "company_currency": "USD", "shutdown_grace_s": 1}
    return Settings(**{**usual, **changed})


def make_template(folder: Path) -> Path:
    """Make fixture P and a key for each person once; tests copy the folder."""
    clock = FixedClock(NOW)
    system = build_system(settings_in(folder), clock=clock)
    with system.database.write() as session:
        world = make_world_p(session)
        keys = {
            login: create_api_key(session, login, label="test", clock=clock)
            for login in world.actors
        }
    system.close()
    (folder / KEYS_FILE).write_text(json.dumps(keys))
    return folder


@dataclass
class Door:
    """A running server and its people's keys."""

    system: System
    url: str
    keys: dict[str, str]
    clock: FixedClock
    _clients: list[httpx2.Client] = field(default_factory=list)

    def as_(self, login: str | None, *, key: str | None = None) -> httpx2.Client:
        """Return an HTTP client that speaks for a person, or for nobody."""
        key = key or (self.keys[login] if login else None)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        client = httpx2.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients:
            client.close()


@contextmanager
def open_door(
    template: Path, folder: Path, *, at: datetime = NOW, **changed: Any
) -> Iterator[Door]:
    """Serve a copy of the template world until the block ends; a second time, the same copy.

    ``changed`` are settings that differ from the usual ones.
    """
    if not folder.exists():
        shutil.copytree(template, folder)
    clock = FixedClock(at)
    system = build_system(settings_in(folder, **changed), clock=clock)
    server = uvicorn.Server(server_config(system, port=0))
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started or not thread.is_alive())
    port = server.servers[0].sockets[0].getsockname()[1]
    keys = json.loads((folder / KEYS_FILE).read_text())
    door = Door(system, f"http://127.0.0.1:{port}", keys, clock)
    try:
        yield door
    finally:
        door.close()
        server.should_exit = True
        thread.join(timeout=20)
        system.close()


def eventually(holds: Callable[[], Any], *, within_s: float = 10.0) -> Any:
    """Wait for something that another thread does, and return it."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if found := holds():
            return found
        threading.Event().wait(0.02)
    raise AssertionError("it did not happen in time")


@dataclass(frozen=True)
class Event:
    """A server-sent event."""

    id: int
    kind: str
    data: dict[str, Any]


def read_events(response: httpx2.Response, *, at_most: int = 10_000) -> list[Event]:
    """Read server-sent events until the stream ends or there are enough."""
    found: list[Event] = []
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if fields:
            found.append(Event(int(fields["id"]), fields["event"], json.loads(fields["data"])))
        fields = {}
        if len(found) == at_most:
            break
    return found


def request_order(door: Door, *, by: str = "paul", quantity: int = 1920) -> dict[str, Any]:
    """Draft an order for WIDGET-A and ask for approval, with the tools that the chat uses.

    Returns:
        The data of ``request_approval``: approval_id, po_id, version, ...
    """
    from tools.purchasing.tool import draft_purchase_order
    from tools.purchasing.tool import request_approval as ask_for_approval

    actor = actor_of(door, by)
    lines = [{"sku": "WIDGET-A", "quantity": quantity, "unit": "each"}]
    drafted = draft_purchase_order.call(
        door.system.tool_context(actor), {"lines": lines, "supplier": "Acme"}
    )
    assert drafted["ok"], drafted
    asked = ask_for_approval.call(
        door.system.tool_context(actor), {"po_id": drafted["data"]["po_id"]}
    )
    assert asked["ok"], asked
    data: dict[str, Any] = asked["data"]
    return data


def actor_of(door: Door, login: str) -> Actor:
    """Return a person of the world."""
    with door.system.database.read() as session:
        return actor_by_login(session, login)


def sent_files(door: Door) -> list[str]:
    """Return the names of the orders that left the house."""
    return sorted(path.name for path in door.system.settings.outgoing_dir.glob("*.json"))

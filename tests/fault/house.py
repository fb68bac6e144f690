"""A house on disk: a data folder, a database (SQLite or PostgreSQL), people with keys, and goods.

There are many goods, so that orders do not cover each other's need.
The house is built once a run, copied for each test, and opened by as many processes as one likes.
"""

import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlalchemy.engine import make_url
from sqlmodel import Session, col, func, select

from api.bootstrap import System, build_system
from api.settings import Settings
from db.models.catalog import ExchangeRate, SupplierItem
from db.models.conversation import Thread
from db.models.purchasing import Outbox
from db.models.stock import StockLevel
from db.types import Actor, OutboxState
from tests.conftest import NOW
from tests.factories import _opening, make_item, make_location, make_supplier, make_users
from tests.fault.process import ROOT, Server
from tests.postgres import POSTGRES_URL, administer, postgres_url
from tools.clock import SystemClock
from tools.identity.service import actor_by_login, create_api_key
from tools.purchasing.service.drafting import draft
from tools.purchasing.service.requesting import request_approval
from tools.purchasing.service.terms import LineRequest

KEYS_FILE = "keys.json"
GOODS = 120
NO_LIMITS = {
    f"QM_{name}": "0"
    for name in (
        "REQUESTS_PER_MINUTE", "ADDRESS_REQUESTS_PER_MINUTE", "MESSAGES_PER_MINUTE",
        "MESSAGE_CHARACTERS_PER_MINUTE",
    )
}  # fmt: skip
PRICE_MINOR = 2  # thousands of orders stay below every limit


@dataclass(frozen=True)
class Asked:
    """A pending request."""

    number: str
    order: str
    version: int
    fingerprint: str
    sku: str

    @property
    def decisions(self) -> str:
        """Where one decides about it."""
        return f"/v1/approvals/{self.number}/decisions"


@dataclass
class House:
    """An open house; ``system`` is this process's own view of it."""

    folder: Path
    url: str
    extra: dict[str, str] = field(default_factory=dict)
    goods: int = GOODS
    _system: System | None = None
    _next: int = 0

    @property
    def is_sqlite(self) -> bool:
        """Whether its database is a file."""
        return self.url.startswith("sqlite")

    @property
    def settings(self) -> Settings:
        """What its server is told."""
        return Settings(
            data_dir=self.folder, database_url=self.url, company_currency="USD", shutdown_grace_s=5
        )

    @property
    def environment(self) -> dict[str, str]:
        """The same as variables."""
        return {
            "QM_DATA_DIR": str(self.folder),
            "QM_DATABASE_URL": self.url,
            "QM_COMPANY_CURRENCY": "USD",
            **NO_LIMITS,
            **self.extra,
        }

    @property
    def keys(self) -> Mapping[str, str]:
        """API keys of its people, by login."""
        keys: dict[str, str] = json.loads((self.folder / KEYS_FILE).read_text())
        return keys

    @property
    def system(self) -> System:
        """The house as this process sees it."""
        if self._system is None:
            self._system = build_system(self.settings, clock=SystemClock())
        return self._system

    def server(self, **environment: str) -> Server:
        """Return a server of this house, not started."""
        return Server(self.folder, {**self.environment, **environment}, self.keys)

    def ingest(self, file: Path) -> "subprocess.Popen[bytes]":
        """Load a file of sales in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", "ingest", "sales", str(file)],
            cwd=ROOT,
            env={
                "PATH": "/usr/bin:/bin", **self.environment, "QM_USER": "paul",
                "QM_API_KEY": self.keys["paul"],
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def close(self) -> None:
        """Close this process's view."""
        if self._system is not None:
            self._system.close()
            self._system = None

    def actor(self, login: str) -> Actor:
        """Return one of its people."""
        with self.system.database.read() as session:
            return actor_by_login(session, login)

    def ask(self, count: int = 1, *, by: str = "paul") -> list[Asked]:
        """Draft orders for one good each, in turn, and ask for their approval."""
        actor = self.actor(by)
        goods = [(self._next + index) % self.goods for index in range(count)]
        self._next += count
        with self.system.database.write() as session:
            return [_ask(session, self.system, actor, good) for good in goods]


def _ask(session: Session, system: System, actor: Actor, good: int) -> Asked:
    drafted = draft(
        session, lines=[LineRequest(5, f"GOOD-{good:03}")], actor=actor, clock=system.clock,
        company=system.company, duplicate_reason="another test",
    )  # fmt: skip
    approval = request_approval(
        session, number=drafted.order.number, actor=actor, clock=system.clock,
        company=system.company,
    )  # fmt: skip
    return Asked(
        approval.number, drafted.order.number, approval.version, approval.fingerprint,
        f"GOOD-{good:03}",
    )  # fmt: skip


def build(folder: Path, url: str, *, goods: int = GOODS) -> None:
    """Make a house: people with keys, goods with terms and stock."""
    house = House(folder, url)
    clock = SystemClock()
    with house.system.database.write() as session:
        actors = make_users(session)
        _stock_goods(session, goods)
        keys = {
            login: create_api_key(session, login, label="fault", clock=clock) for login in actors
        }
    house.close()
    (folder / KEYS_FILE).write_text(json.dumps(keys))


def _stock_goods(session: Session, goods: int) -> None:
    session.add(ExchangeRate(currency="EUR", rate_micro=1_100_000, updated_at=NOW))
    main = make_location(session)
    suppliers = [make_supplier(session, f"S{number}", f"Supplier {number}") for number in range(8)]
    for number in range(goods):
        item = make_item(
            session, f"GOOD-{number:03}", f"Good {number}", unit_cost_minor=PRICE_MINOR
        )
        session.add(
            SupplierItem(
                supplier_id=suppliers[number % 8].id, item_id=item.id, supplier_sku=f"X-{number}",
                unit_price_minor=PRICE_MINOR, moq_units=1, order_multiple_units=1,
                quoted_lead_time_days=9, is_preferred=True,
            )
        )  # fmt: skip
        session.add(
            StockLevel(
                item_id=item.id, location_id=main.id, on_hand_units=50, allocated_units=0,
                updated_at=NOW,
            )
        )  # fmt: skip
        session.add(_opening(item, main, 50))


class Builder:
    """Makes houses of one kind: builds the first, copies it from then on, drops what it made."""

    def __init__(self, kind: str, folder: Path, *, goods: int = GOODS) -> None:
        self.kind, self.folder, self.goods = kind, folder, goods
        self._databases: list[str] = []
        self._template = folder / f"template-{kind}"
        self._made = 0
        self._template_url = self._url(self._template, is_template=True)
        build(self._template, self._template_url, goods=goods)

    def house(self) -> House:
        """Return a house of its own for a test."""
        self._made += 1
        folder = self.folder / f"{self.kind}-{self._made}"
        shutil.copytree(self._template, folder)
        return House(folder, self._url(folder), goods=self.goods)

    def close(self) -> None:
        """Drop the databases."""
        for name in reversed(self._databases):
            administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _url(self, folder: Path, *, is_template: bool = False) -> str:
        if self.kind == "sqlite":
            return f"sqlite:///{folder}/quartermaster.db"
        name = f"qm_fault_{uuid.uuid4().hex[:12]}"
        source = "" if is_template else f' TEMPLATE "{make_url(self._template_url).database}"'
        administer(f'CREATE DATABASE "{name}"{source}')
        self._databases.append(name)
        return postgres_url(name)


def has_postgres() -> bool:
    """Whether the run names a PostgreSQL server."""
    return bool(POSTGRES_URL)


def decide_body(asked: Asked, decision: str = "approve", **more: Any) -> dict[str, Any]:
    """Return the body of a decision about what was asked."""
    return {"decision": decision, "version": asked.version, "fingerprint": asked.fingerprint} | more


def end_leases(house: House) -> None:
    """Let the leases of dead processes run out now, as if the time had passed."""
    with house.system.database.write() as session:
        for table in (Outbox, Thread):
            until = col(table.lease_until)
            session.execute(update(table).where(until.is_not(None)).values(lease_until=NOW))


def await_delivered(house: House, *, within_s: float = 60.0) -> None:
    """Wait until nothing waits in the outbox any more."""
    waits = col(Outbox.state).in_((OutboxState.PENDING, OutboxState.CLAIMED))
    statement = select(func.count()).select_from(Outbox).where(waits)
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        with house.system.database.read() as session:
            left = session.exec(statement).one()
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"{left} deliveries still wait")

"""What doctor finds in the house, each finding made on purpose."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from api.backup.create import create
from api.bootstrap import System, build_system
from api.cli.doctor_house import house_checks
from api.settings import Settings
from tests.conftest import NOW
from tests.factories import WorldP, make_world_p
from tests.postgres import POSTGRES_URL, drop_postgres, new_postgres
from tools.audit import service as audit
from tools.audit.gateway.anchors import AnchorFile, anchor
from tools.clock import FixedClock


def _system(folder: Path, url: str = "") -> tuple[System, WorldP]:
    where = {"database_url": url} if url else {}
    settings = Settings(data_dir=folder, company_currency="USD", **where)  # type: ignore[arg-type]
    system = build_system(settings, clock=FixedClock(NOW))
    with system.database.write() as session:
        world = make_world_p(session)
        audit.append(session, at=NOW, actor=audit.SYSTEM, action="x", object_id="y")
    return system, world


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    opened, _ = _system(tmp_path / "house")
    yield opened
    opened.close()


def found(system: System) -> dict[str, str]:
    return {check.name: check.level for check in house_checks(system)}


def test_a_house_in_order(system: System, tmp_path: Path) -> None:
    with system.database.read() as session:
        anchor(session, AnchorFile(system.settings.anchor_file), at=NOW)
    create(system, tmp_path / "b", progress=lambda _done, _total: None)

    assert set(found(system).values()) == {"ok"}


def test_no_anchor_and_no_backup_are_warnings(system: System) -> None:
    assert (found(system)["anchors"], found(system)["backup"]) == ("warning", "warning")


def test_an_old_backup_is_a_warning(system: System, tmp_path: Path) -> None:
    create(system, tmp_path / "b", progress=lambda _done, _total: None)
    assert found(system)["backup"] == "ok"

    assert isinstance(system.clock, FixedClock)
    system.clock.at += timedelta(days=8)

    assert found(system)["backup"] == "warning"


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        ("DROP TRIGGER audit_event_no_delete", "history guards"),
        ("UPDATE stock_level SET on_hand_units = on_hand_units + 1", "stock ledger"),
        ("UPDATE audit_event SET at = '2099-01-01 00:00:00.000000'", "clock"),
    ],
)
def test_damage_is_a_problem(system: System, damage: str, name: str) -> None:
    with system.database.write() as session:
        if "audit_event SET" in damage:
            session.execute(text("DROP TRIGGER audit_event_no_update"))
        session.execute(text(damage))

    assert found(system)[name] == "problem"


def test_a_key_that_others_can_read_is_a_problem(system: System) -> None:
    system.settings.audit_key_file.chmod(0o640)

    assert found(system)["keys"] == "problem"


@pytest.mark.postgres
def test_a_server_is_asked_for_its_settings_and_its_time(tmp_path: Path) -> None:
    if not POSTGRES_URL:
        pytest.skip("no PostgreSQL: QM_TEST_POSTGRES_URL is not set")
    url = new_postgres()
    system, _ = _system(tmp_path / "house", url)

    levels = found(system)
    text_ = {check.name: check.message for check in house_checks(system)}["durability"]

    assert levels["history guards"] == levels["clock"] == levels["stock ledger"] == "ok"
    assert "PostgreSQL" in text_ or levels["durability"] == "problem"  # a test server may not sync
    system.close()
    drop_postgres(url)

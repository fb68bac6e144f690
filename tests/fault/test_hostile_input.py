"""Text and files made to do harm, through the doors: no trace outside the data.

What a table of rows can hide is tested in tests/integration/test_hostile_files.py, slow and endless
requests in tests/fault/test_infrastructure.py.
"""

import io
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlmodel import func, select

from db.models.audit import AuditEvent
from db.models.catalog import Item
from db.models.purchasing import PurchaseOrder
from db.session import Database
from tests.conftest import NOW
from tests.fault.house import House
from tests.fault.process import Server
from tests.fault.test_infrastructure import small_disk
from tools.clock import FixedClock
from tools.errors import InvalidInput
from tools.ingestion.service import ingest

CORPUS = (
    "' OR '1'='1", "'; DROP TABLE item; --", '" OR ""="', "1) UNION SELECT 1",
    "%' ESCAPE '", "../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd",
    "C:\\CON", "file:///etc/passwd", "$(touch pwned)", "`touch pwned`", "{{7*7}}", "%s%n%x",
    "x" * 300, "\u202eGOOD", "GOOD-001 --",
)  # fmt: skip
OWN = {
    "anchors.jsonl",
    "conversations.db",
    "outgoing",
    "audit.key",
}  # the program makes these itself
WORDS = ("sqlite3.", "psycopg", "syntax error", "sqlalchemy", "traceback", "root:x:")
READS = (
    "/v1/orders/{}", "/v1/items/{}", "/v1/items/{}/forecast", "/v1/approvals/{}",
    "/v1/threads/{}/messages", "/v1/orders/{}/shipment", "/v1/users/{}", "/v1/keys/{}",
    "/v1/orders?state={}", "/v1/orders?sort={}", "/v1/orders?cursor={}", "/v1/items?q={}",
    "/v1/approvals?state={}", "/v1/recommendations?item={}", "/v1/exceptions?type={}",
    "/v1/kpis?window={}",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(standing: House) -> Iterator[Server]:
    with standing.server() as started:
        yield started


def _tree(house: House) -> set[str]:
    """Return what is around the house's folder and in it; the program's own logs aside."""
    around = {path.name for path in house.folder.parent.iterdir()}
    inside = {str(path.relative_to(house.folder)) for path in house.folder.rglob("*")}
    return around | {name for name in inside if not name.endswith(("-wal", "-shm", ".log"))}


def _count(house: House) -> tuple[int, int]:
    with house.system.database.read() as session:
        return (
            session.exec(select(func.count()).select_from(Item)).one(),
            session.exec(select(func.count()).select_from(PurchaseOrder)).one(),
        )


def test_no_text_reaches_the_database_as_words_or_the_disk_as_a_path(
    standing: House, server: Server
) -> None:
    caller, before = server.as_("adam"), (_tree(standing), _count(standing))
    for evil in CORPUS:
        in_header = quote(evil, safe=" '\"();,:%./\\$`{}*-|=")
        for path in READS:
            headers = {"X-Request-ID": in_header, "Idempotency-Key": in_header}
            reply = caller.call("GET", path.format(quote(evil, safe="")), None, headers)
            _is_harmless(f"GET {path} {evil}", reply)
        for body in ({"title": evil}, {"title": "x", evil: evil}):
            _is_harmless(f"POST {body}", caller.call("POST", "/v1/threads", body))
        decision = {"decision": evil, "version": 1, "fingerprint": evil, "reason": evil}
        path = f"/v1/approvals/{quote(evil, safe='')}/decisions"
        _is_harmless(path, caller.call("POST", path, decision, {"Idempotency-Key": "k"}))

    assert _tree(standing) - before[0] <= OWN
    assert _count(standing) == before[1]
    assert "Traceback" not in server.log
    with standing.system.database.read() as session:
        assert session.exec(select(AuditEvent.seq)).first()


def _is_harmless(what: str, reply: object) -> None:
    assert reply is not None, what
    status, body = reply.status, str(reply.body).lower()  # type: ignore[attr-defined]
    assert status < 500, (what, status, body)
    assert not [word for word in WORDS if word in body], (what, body)


def test_a_file_with_a_hostile_name_is_a_file(sqlite_house: House, tmp_path: Path) -> None:
    before = _tree(sqlite_house)
    file = tmp_path / "'; DROP TABLE item; --$(touch pwned)\u202efdp.csv"
    file.write_text("date,sku,quantity\n2026-01-02,GOOD-001,3\n2026-01-03,../../x,1\n")
    loading = sqlite_house.ingest(file)
    assert "Traceback" not in loading.communicate(timeout=60)[1].decode()
    assert _tree(sqlite_house) - before <= OWN
    assert not list(Path.cwd().glob("pwned"))
    assert list(tmp_path.iterdir()) == [file]
    assert _count(sqlite_house)[0] == sqlite_house.goods + 1  # "../../x" is an item


def test_a_bomb_is_refused_in_time_and_leaves_nothing(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """Two hundred megabytes of sheet in two hundred kilobytes."""
    bomb, made = tmp_path / "bomb.xlsx", io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"<a>" + b" " * 200_000_000)
        archive.writestr("../../outside.txt", "escaped")
    bomb.write_bytes(made.getvalue())
    size_before, began_s = _disk(tmp_path), time.monotonic()

    with pytest.raises(InvalidInput):
        ingest(sqlite_database, "items", bomb, clock=FixedClock(NOW), pause_s=0)

    assert time.monotonic() - began_s < 5
    assert _disk(tmp_path) - size_before < 50_000_000
    assert not (tmp_path.parent.parent / "outside.txt").exists()


def _disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_folder_that_cannot_be_written_is_said_and_passes(sqlite_house: House) -> None:
    sqlite_house.close()
    (asked,) = sqlite_house.ask()
    sqlite_house.close()
    with small_disk(sqlite_house) as ballast:
        _mount(ballast.parent, "ro")
        server = sqlite_house.server()
        server.folder = sqlite_house.folder.parent.parent  # its log goes elsewhere
        try:
            server.start(is_ready=False)
            assert not _becomes_ready(server)
            said_by_s = time.monotonic() + 60
            while not server.log.strip() and time.monotonic() < said_by_s:
                time.sleep(0.1)
            server.kill()
            assert server.log.strip()
            _mount(ballast.parent, "rw")
            server.start()
            reply = server.as_("mona").call(
                "POST", asked.decisions,
                {"decision": "approve", "version": asked.version,
                 "fingerprint": asked.fingerprint}, {"Idempotency-Key": "once"},
            )  # fmt: skip
            assert reply is not None
            assert reply.status == 200
        finally:
            server.close()


def _mount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True, capture_output=True)


def _becomes_ready(server: Server) -> bool:
    """Whether it is ready within some seconds; one that ended with an error is not."""
    assert server.process is not None
    try:
        server.await_status(200, within_s=5)
    except AssertionError:
        return False
    return True

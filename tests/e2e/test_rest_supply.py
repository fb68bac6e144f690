"""Suppliers' answers and deliveries over HTTP: booked once, decided by people, signed messages."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NOW
from tests.factories import day
from tests.factories_rest import Door, eventually, make_template, open_door

SECRET = "a-secret-of-at-least-32-characters"
PAGE = Path(__file__).parents[2] / "docs" / "inbound.md"
T6 = [
    {"sku": "WIDGET-A", "code": "IQ", "quantity": 240, "promise": day(6).isoformat()},
    {"sku": "WIDGET-A", "code": "IB", "quantity": 60, "promise": day(12).isoformat()},
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("supply") / "world")


@pytest.fixture
def door(template: Path, tmp_path: Path) -> Iterator[Door]:
    senders = tmp_path / "senders.json"
    kinds = ["acknowledgement", "shipment"]
    senders.write_text(
        json.dumps({"acme": {"secrets": [SECRET], "suppliers": ["ACME"], "kinds": kinds}})
    )
    senders.chmod(0o600)
    with open_door(template, tmp_path / "data", inbound_file=senders) as opened:
        yield opened


def post(door: Door, path: str, body: dict[str, Any], *, by: str = "paul", key: str = "k") -> Any:
    return door.as_(by).post(path, json=body, headers={"Idempotency-Key": key})


def test_an_answer_is_booked_once_read_and_accepted(door: Door) -> None:
    booked = [post(door, "/v1/orders/PO-1042/answers", {"lines": T6}) for _ in range(2)]
    assert [one.status_code for one in booked] == [200, 200], booked[0].text
    assert booked[0].json() == booked[1].json()
    assert booked[1].headers["Idempotency-Replayed"] == "true"

    [shown] = door.as_("paul").get("/v1/orders/PO-1042/answers").json()["answers"]
    assert (shown["id"], shown["state"]) == ("s-1", "proposed")
    path = "/v1/orders/PO-1042/answers/s-1/decision"
    assert post(door, path, {"accept": True, "version": 7}, key="a").status_code == 409
    accepted = post(door, path, {"accept": True, "version": 1}, key="b").json()

    assert (accepted["order"]["state"], accepted["order"]["revision"]) == ("confirmed", 2)
    assert accepted["order"]["lines"][0]["promises"] == [
        {"units": 240, "promise": day(6).isoformat()},
        {"units": 60, "promise": day(12).isoformat()},
    ]


def test_goods_come_go_back_and_the_rest_is_closed(door: Door) -> None:
    came = {"delivery_note": "DN-7", "lines": [{"sku": "WIDGET-A", "quantity": 240}]}
    assert post(door, "/v1/orders/PO-1042/receipts", came, key="1").json()["received_pct"] == 80
    back = {"return_note": "RN-1", "sku": "WIDGET-A", "quantity": 12, "reason": "dented"}
    assert post(door, "/v1/orders/PO-1042/returns", back, key="2").status_code == 200
    end = {"kind": "short_close", "lines": {"WIDGET-A": 60}, "reason": "not made any more"}
    assert post(door, "/v1/orders/PO-1042/close", end, key="3").json()["state"] == "short_closed"
    done = post(door, "/v1/orders/PO-1042/close", {"kind": "close"}, key="4")
    assert done.json()["state"] == "closed"

    rows = door.as_("paul").get("/v1/orders/PO-1042/receipts").json()["receipts"]
    assert [(row["kind"], row["units"]) for row in rows] == [("receipt", 240), ("return", 12)]


def test_a_booking_is_reversed(door: Door) -> None:
    came = {"delivery_note": "DN-7", "lines": [{"sku": "WIDGET-A", "quantity": 300}]}
    post(door, "/v1/orders/PO-1042/receipts", came, key="1")

    undone = post(
        door, "/v1/orders/PO-1042/receipts/DN-7/reversal", {"reason": "wrong order"}, key="2"
    )

    assert undone.json()["state"] == "confirmed", undone.text


@pytest.mark.parametrize("by", ["vera", None])
def test_who_may_not(door: Door, by: str | None) -> None:
    answer = door.as_(by).post(
        "/v1/orders/PO-1042/answers", json={}, headers={"Idempotency-Key": "k"}
    )

    assert answer.status_code == (401 if by is None else 403)


def test_there_is_nothing_to_settle(door: Door) -> None:
    said = {"answer": "delivered", "reason": "asked them"}

    assert post(door, "/v1/deliveries/po:PO-1:v1:0/settlement", said, by="mona").status_code == 404


def test_orders_page_by_page(door: Door) -> None:
    mona = door.as_("mona")
    first = mona.get("/v1/orders", params={"limit": 1}).json()["data"]
    rest = mona.get("/v1/orders", params={"limit": 1, "after": "PO-1042"}).json()["data"]

    assert ([one["po_id"] for one in first["orders"]], first["next"]) == (["PO-1042"], None)
    assert (rest["orders"], rest["next"]) == ([], None)


def test_the_pages_signed_example_is_kept_and_booked(door: Door) -> None:
    """The shell example of docs/inbound.md as it stands there, twice, and then forged."""
    said = [_send(door.url) for _ in range(2)]

    assert [one[-3:] for one in said] == ["202", "202"], said
    assert said[0] == said[1]
    order = eventually(
        lambda: (
            (shown := door.as_("paul").get("/v1/orders/PO-1042").json())["state"] == "changed"
            and shown
        )
    )
    assert order["revision"] == 1
    forged = _send(door.url, secret="x" * 32)
    assert forged.endswith("401"), forged
    assert "not valid" in forged


def _send(url: str, *, secret: str = SECRET) -> str:
    script = re.search(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    shell = shutil.which("sh")
    assert script is not None
    assert shell is not None
    done = subprocess.run(
        [shell, "-c", script[1]],
        env={
            "PATH": os.environ["PATH"],  # noqa: TID251
            "URL": url, "SECRET": secret, "TIMESTAMP": str(int(NOW.timestamp())),
        },
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.stdout.strip()

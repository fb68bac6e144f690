"""Finding and resolving items, suppliers and locations."""

import pytest
from sqlmodel import Session

from db.session import Database
from db.types import Actor, Role
from tests.factories import add_gloves, make_item, make_location, make_supplier, make_world_p
from tools.catalog.service import (
    find_items,
    resolve_item,
    resolve_location,
    resolve_supplier,
    snapshot,
)
from tools.catalog.tool import find_item
from tools.clock import FixedClock
from tools.company import Company
from tools.errors import Ambiguous, InvalidInput, NotFound
from tools.wrapping import ToolContext


@pytest.fixture
def session(session: Session) -> Session:
    add_gloves(session, make_world_p(session))
    return session


def test_the_snapshot_holds_every_name(session: Session) -> None:
    taken = snapshot(session)

    skus = [item.sku for item in taken.items]
    assert skus == ["GLOVE-L", "GLOVE-M", "GLOVE-S", "WIDGET-A", "WIPES"]
    assert taken.items[3].aliases == ("blue widget",)
    assert taken.suppliers == (("ACME", "Acme"), ("BOREALIS", "Borealis"), ("MEDLINE", "Medline"))
    assert taken.locations == ("MAIN",)


def test_finds_items_best_first(session: Session) -> None:
    found = find_items(session, "large nitrile glove")

    assert found[0].sku == "GLOVE-L"
    assert found[0].uom == "box"
    assert found[0].score > found[1].score


class TestResolveItem:
    @pytest.mark.parametrize(
        "text", ["WIDGET-A", "widget a", " widgeta ", "blue widget", "Blue widgets"]
    )
    def test_by_sku_alias_or_words(self, session: Session, text: str) -> None:
        assert resolve_item(session, text).sku == "WIDGET-A"

    def test_refuses_an_ambiguous_name(self, session: Session) -> None:
        with pytest.raises(Ambiguous, match="'gloves' fits 3 items: GLOVE-L, GLOVE-M, GLOVE-S") as caught:  # fmt: skip  # noqa: E501
            resolve_item(session, "gloves")

        assert caught.value.details["matches"][0] == {
            "sku": "GLOVE-L", "name": "Nitrile gloves large", "uom": "box",
        }  # fmt: skip

    def test_refuses_a_near_sku_and_shows_it(self, session: Session) -> None:
        with pytest.raises(NotFound, match="no item is called 'WIDGET-B'") as caught:
            resolve_item(session, "WIDGET-B")

        assert "WIDGET-A" in [match["sku"] for match in caught.value.details["matches"]]

    def test_two_items_with_one_name_are_ambiguous(self, session: Session) -> None:
        make_item(session, "WIDGET-C", "Night lamp")
        make_item(session, "WIDGET-D", "Night lamp")

        with pytest.raises(Ambiguous):
            resolve_item(session, "night lamps")
        assert resolve_item(session, "widget-c").sku == "WIDGET-C"

    def test_refuses_nothing(self, session: Session) -> None:
        with pytest.raises(InvalidInput):
            resolve_item(session, " ")


def test_resolves_a_supplier_by_code_or_name(session: Session) -> None:
    make_supplier(session, "NORTH", "Northern Paper Ltd")

    assert resolve_supplier(session, "acme").code == "ACME"
    assert resolve_supplier(session, "northern paper").code == "NORTH"
    with pytest.raises(NotFound, match="near: ACME"):
        resolve_supplier(session, "Acmee")


def test_resolves_a_location(session: Session) -> None:
    make_location(session, "EAST")

    assert resolve_location(session, None).code == "MAIN"
    assert resolve_location(session, "east").code == "EAST"
    with pytest.raises(NotFound, match="MAIN, EAST"):
        resolve_location(session, "moon")


def test_the_tool_answers_with_matches(sqlite_database: Database, clock: FixedClock) -> None:
    with sqlite_database.write() as session:
        add_gloves(session, make_world_p(session))
    actor = Actor(user_id=1, login="vera", name="Vera", role=Role.VIEWER)
    context = ToolContext(
        sqlite_database.read, sqlite_database.write, actor, clock, Company(currency="USD")
    )

    answer = find_item.call(context, {"query": "glove-m"})

    assert answer["data"] == {
        "matches": [
            {"sku": "GLOVE-M", "name": "Nitrile gloves medium", "uom": "box", "status": "active",
             "score": 100.0}
        ]
    }  # fmt: skip
    assert find_item.call(context, {"query": ""})["error"] == "invalid_input"

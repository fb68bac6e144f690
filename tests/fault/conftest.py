"""Houses for the fault tests, on SQLite and on PostgreSQL."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.history import History
from tests.fault.house import Builder, House, has_postgres

IS_SOAK = os.environ.get("QM_TEST_SOAK", "") not in ("", "0")  # noqa: TID251


@pytest.fixture(scope="session")
def sqlite_builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder("sqlite", tmp_path_factory.mktemp("houses"))


@pytest.fixture(scope="session")
def postgres_builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    builder = Builder("postgresql", tmp_path_factory.mktemp("houses"))
    yield builder
    builder.close()


BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


def _open(request: pytest.FixtureRequest) -> Iterator[House]:
    if request.param == "sqlite":
        builder: Builder = request.getfixturevalue("sqlite_builder")
    elif has_postgres():
        builder = request.getfixturevalue("postgres_builder")
    elif os.environ.get("CI"):  # noqa: TID251
        pytest.fail("no PostgreSQL: QM_TEST_POSTGRES_URL is not set")
    else:
        pytest.skip("no PostgreSQL: QM_TEST_POSTGRES_URL is not set")
    opened = builder.house()
    yield opened
    opened.close()


@pytest.fixture(params=BOTH)
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """A house of the test's own; a test that asks for it runs once on each database."""
    yield from _open(request)


@pytest.fixture(params=BOTH, scope="module")
def standing(request: pytest.FixtureRequest) -> Iterator[House]:
    """A house that the tests of a module share, on each database."""
    yield from _open(request)


@pytest.fixture
def sqlite_house(sqlite_builder: Builder) -> Iterator[House]:
    """A house on SQLite."""
    opened = sqlite_builder.house()
    yield opened
    opened.close()


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    """The record of the test's calls."""
    opened = History(tmp_path / "history.jsonl")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def loops() -> int:
    """How often a crash is repeated: a handful of times, in the soak a hundred."""
    return 100 if IS_SOAK else 2

"""`quartermaster users` and `keys`, as an administrator and everybody else type them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.bootstrap import build_system
from api.cli.main import app
from api.settings import load_settings
from tools.identity.service import authenticate

Run = Callable[..., Result]


@pytest.fixture
def run(shop: Path) -> Run:
    """Run a command in this process, on a copy of the demo."""
    assert shop.is_dir()
    return lambda *arguments, **more: CliRunner().invoke(app, list(arguments), **more)


def data(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["data"]


def test_a_person_is_added_changed_and_closed(run: Run) -> None:
    steps = [
        ("add", "eve", "--role", "planner", "--limit", "250.50"), ("set-role", "eve", "approver"),
        ("set-limit", "eve", "400", "--reason", "trusted"), ("set-limit", "eve", "role"),
        ("set-name", "eve", "Eve Adams"), ("set-email", "eve", "eve@example.org"),
        ("add-scope", "eve", "location", "MAIN"), ("deactivate", "eve"), ("reactivate", "eve"),
        ("link", "eve", "--issuer", "https://id.example", "--subject", "42"),
    ]  # fmt: skip

    told = [data(run("users", *step, "--as", "adam", "--json")) for step in steps]

    assert told[0]["own_limit"] == "250.50"
    assert [told[2]["own_limit"], told[3]["own_limit"]] == ["400.00", None]
    assert [told[7]["active"], told[8]["active"]] == [False, True]
    eve = data(run("users", "show", "eve", "--json"))
    assert (eve["role"], eve["name"], eve["email"]) == ("approver", "Eve Adams", "eve@example.org")
    assert eve["scopes"]["location"] == ["MAIN"]
    assert eve["links"] == [{"issuer": "https://id.example", "subject": "42"}]


@pytest.mark.parametrize(
    "change",
    [("set-role", "adam", "manager"), ("set-limit", "adam", "1"), ("deactivate", "adam"),
     ("add-scope", "adam", "location", "MAIN")],
)  # fmt: skip
def test_nobody_changes_their_own(run: Run, change: tuple[str, ...]) -> None:
    result = run("users", *change, "--as", "adam")

    assert result.exit_code == 5
    assert "obody changes their own" in result.stderr


def test_the_holder_of_the_file_sets_up_until_an_administrator_can_sign_in(run: Run) -> None:
    own = run("users", "set-limit", "pat", "99999")
    before = run("users", "set-limit", "anna", "400")
    run("keys", "create", "adam", "--as", "adam")
    after = run("users", "set-limit", "anna", "500")

    assert (own.exit_code, before.exit_code, after.exit_code) == (5, 0, 5)
    assert "takes one" in after.stderr


def test_a_password_is_read_from_a_pipe_and_never_shown(run: Run) -> None:
    password = "correct horse battery staple"

    weak = run("users", "set-password", "mona", "--stdin", "--as", "adam", input="mona12345678\n")
    good = run("users", "set-password", "mona", "--stdin", "--as", "adam", input=password + "\n")

    assert (weak.exit_code, good.exit_code) == (1, 0)
    assert "mona12345678" not in weak.output
    assert password not in good.output
    assert data(run("users", "show", "mona", "--json"))["has_password"]


def test_a_key_says_what_it_allows_and_until_when(run: Run) -> None:
    made = data(run("keys", "create", "mona", "--allow", "read", "--days", "30", "--as", "mona",
                    "--json"))  # fmt: skip
    listed = data(run("keys", "list", "--as", "mona", "--json"))["keys"]
    others = run("keys", "list", "mona", "--as", "vera")

    assert [key["permissions"] for key in listed] == [["read"]]
    assert listed[0]["state"] == "works"
    assert made["key"] not in json.dumps(listed)
    assert others.exit_code == 5


def test_an_administrators_key_for_another_does_not_decide(run: Run) -> None:
    run("keys", "create", "adam", "--as", "adam")
    asked = run("keys", "create", "mona", "--allow", "decide", "--as", "adam")
    key = data(run("keys", "create", "mona", "--as", "adam", "--json"))["key"]

    system = build_system(load_settings())
    with system.database.write() as session:
        allowed = authenticate(session, key, clock=system.clock).permissions
    system.close()

    assert asked.exit_code == 5
    assert allowed is not None
    assert "decide" not in allowed

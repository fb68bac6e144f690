"""Signing in, keys with permissions, people and tokens, over real HTTP."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from db.types import Permission
from tests.conftest import NOW
from tests.factories_rest import Door, actor_of, make_template, open_door, request_order
from tools.clock import FixedClock
from tools.identity.service import create_api_key
from tools.people.service import access

PASSWORD = "correct horse battery staple"
SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world, in which Mona and Adam have passwords of their own."""
    folder = tmp_path_factory.mktemp("identity")
    made = make_template(folder / "world")
    with open_door(made, made) as door, door.system.database.write() as session:
        for login in ("mona", "adam"):
            access.set_password(
                session, login, PASSWORD, clock=FixedClock(NOW), by=actor_of(door, login),
                is_confirmed=True,
            )  # fmt: skip
    return made


@pytest.fixture
def door(template: Path, tmp_path: Path) -> Iterator[Door]:
    with open_door(template, tmp_path / "data") as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One door for tests after which it is as before."""
    with open_door(template, tmp_path_factory.mktemp("shared") / "data") as opened:
        yield opened


def browser(door: Door, login: str = "mona", password: str = PASSWORD) -> httpx2.Client:
    """A browser that signed in."""
    client = door.as_(None)
    answer = client.post("/v1/session", json={"login": login, "password": password}, headers=SAME)
    assert answer.status_code == 201, answer.text
    return client


class TestBrowser:
    def test_signs_in_looks_around_and_out(self, shared: Door) -> None:
        client = browser(shared)
        token = client.cookies["qm_session"]

        who = client.get("/v1/session").json()
        out = client.delete("/v1/session", headers=SAME)
        client.cookies.set("qm_session", token)  # somebody kept a copy
        after = client.get("/v1/session")

        assert (who["login"], who["role"], who["permissions"]) == ("mona", "manager", None)
        assert (out.json(), after.status_code) == ({"ended": True}, 401)

    def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(self, shared: Door) -> None:
        answer = shared.as_(None).post("/v1/session", json={"login": "mona", "password": PASSWORD})

        attributes = answer.headers["set-cookie"].lower()
        assert "httponly" in attributes
        assert "samesite=strict" in attributes
        assert "path=/" in attributes
        assert "domain" not in attributes
        assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(
        "body",
        [{"login": "mona", "password": PASSWORD + "x"}, {"login": "nobody", "password": PASSWORD},
         {"login": "paul", "password": ""}, {"login": "robot", "password": PASSWORD}],
    )  # fmt: skip
    def test_a_refusal_does_not_tell_what_was_wrong(self, shared: Door, body: Any) -> None:
        answer = shared.as_(None).post("/v1/session", json=body)

        assert answer.status_code == 401
        assert answer.json()["detail"] == "login or password is not right"
        assert "set-cookie" not in answer.headers

    def test_other_sites_do_not_act_in_its_name(self, shared: Door) -> None:
        client = browser(shared)
        headers = [
            {}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
        ]  # fmt: skip

        refused = [client.post("/v1/threads", json={}, headers=h).status_code for h in headers]
        ours = client.post("/v1/threads", json={}, headers=SAME)
        older = client.post("/v1/threads", json={}, headers={"Origin": shared.url})

        assert refused == [403] * len(headers)
        assert (ours.status_code, older.status_code) == (201, 201)

    def test_the_password_again_makes_a_new_token(self, door: Door) -> None:
        client = browser(door)
        before = client.cookies["qm_session"]

        wrong = client.post(
            "/v1/session/reauthenticate", json={"password": PASSWORD + "x"}, headers=SAME
        )
        right = client.post("/v1/session/reauthenticate", json={"password": PASSWORD}, headers=SAME)

        assert (wrong.status_code, right.status_code) == (401, 200)
        assert right.json()["session"]["is_confirmed"]
        assert client.cookies["qm_session"] != before

    def test_a_key_alone_does_not_confirm_a_person(self, shared: Door) -> None:
        answer = shared.as_("mona").post("/v1/session/reauthenticate", json={"password": PASSWORD})

        assert answer.status_code == 401

    def test_another_browser_is_signed_out(self, door: Door) -> None:
        here, other = browser(door), browser(door)
        listed = here.get("/v1/sessions").json()["sessions"]
        own = here.get("/v1/session").json()["session"]["id"]
        (stranger,) = [row["id"] for row in listed if row["id"] != own]

        answer = here.delete(f"/v1/sessions/{stranger}", headers=SAME)

        assert answer.status_code == 200
        assert (here.get("/v1/items").status_code, other.get("/v1/items").status_code) == (200, 401)

    def test_one_who_was_closed_out_is_out_at_once(self, door: Door) -> None:
        client = browser(door)

        door.as_("adam").patch("/v1/users/mona", json={"is_active": False})

        assert client.get("/v1/items").status_code == 401
        assert door.as_("mona").get("/v1/items").status_code in (401, 403)

    def test_a_given_password_is_for_looking_and_for_choosing_another(self, door: Door) -> None:
        given = door.as_("adam").put("/v1/users/paul/password", json={"password": PASSWORD})
        client = browser(door, "paul")

        draft = client.post("/v1/keys", json={"label": "x"}, headers=SAME)
        chosen = client.post(
            "/v1/session/password", json={"current": PASSWORD, "new": PASSWORD + "!"}, headers=SAME
        )
        again = browser(door, "paul", PASSWORD + "!")

        assert (given.status_code, draft.status_code, chosen.status_code) == (200, 403, 200)
        assert again.post("/v1/keys", json={"label": "x"}, headers=SAME).status_code == 201

    def test_too_many_tries_for_a_login_wait(self, door: Door) -> None:
        client = door.as_(None)
        body = {"login": "nobody", "password": "x"}

        answers = [client.post("/v1/session", json=body) for _ in range(11)]

        assert [answer.status_code for answer in answers[:10]] == [401] * 10
        assert answers[10].status_code == 429
        assert answers[10].headers["content-type"] == "application/problem+json"
        assert 1 <= int(answers[10].headers["retry-after"]) <= 60


class TestPermissions:
    def test_a_key_that_reads_changes_nothing_anywhere(self, shared: Door) -> None:
        """Every operation that changes something, also of other people's making."""
        with shared.system.database.write() as session:
            key = create_api_key(
                session, "mona", label="r", clock=FixedClock(NOW), permissions=[Permission.READ]
            )
        client = shared.as_(None, key=key)
        talks = {"/v1/threads", "/v1/threads/{thread_id}/messages", "/v1/runs/{run_id}/cancel"}
        not_by_key = {"/v1/session"}
        paths = client.get("/openapi.json").json()["paths"]
        open_ways = [
            f"{method} {path}"
            for path, operations in paths.items()
            for method in operations
            if method not in ("get", "head")
            and path.startswith("/v1")
            and path not in talks | not_by_key
            and not path.startswith(("/v1/inbound", "/v1/session/"))
            and client.request(
                method.upper(), path.replace("{", "").replace("}", ""), json={}
            ).status_code != 403
        ]  # fmt: skip

        assert client.get("/v1/items").status_code == 200
        assert open_ways == []

    def test_a_key_that_drafts_does_not_decide_and_one_that_decides_does(self, door: Door) -> None:
        asked = request_order(door)
        keys = {}
        with door.system.database.write() as session:
            for one in (Permission.DRAFT, Permission.DECIDE):
                keys[one] = create_api_key(
                    session, "mona", label=one, clock=FixedClock(NOW),
                    permissions=[Permission.READ, one],
                )  # fmt: skip

        def decide(one: Permission) -> httpx2.Response:
            return door.as_(None, key=keys[one]).post(
                f"/v1/approvals/{asked['approval_id']}/decisions",
                json={"decision": "approve", "version": asked["version"]},
                headers={"Idempotency-Key": f"k-{one}"},
            )

        refused, taken = decide(Permission.DRAFT), decide(Permission.DECIDE)

        assert (refused.status_code, refused.json()["details"]) == (403, {"reason": "key"})
        assert (taken.status_code, taken.json()["order_state"]) == (200, "approved")


def test_a_conversation_is_its_persons_also_before_administrators(shared: Door) -> None:
    thread = shared.as_("paul").post("/v1/threads", json={}).json()["thread_id"]
    path = f"/v1/threads/{thread}/messages"

    codes = {
        login: (
            shared.as_(login).get(path).status_code,
            shared.as_(login).post(path, json={"text": "what did Paul ask?"}).status_code,
        )
        for login in ("pia", "mona", "adam", "robot")
    }

    assert shared.as_("paul").get(path).status_code == 200
    assert set(codes.values()) == {(404, 404)}


class TestPeople:
    def test_an_administrator_adds_and_changes(self, door: Door) -> None:
        adam = door.as_("adam")

        made = adam.post("/v1/users", json={"login": "eve", "role": "planner", "limit": "250.50"})
        scoped = adam.post("/v1/users/eve/scopes", json={"kind": "location", "value": "MAIN"})
        changed = adam.patch("/v1/users/eve", json={"role": "manager", "limit": None})
        freed = adam.delete("/v1/users/eve/scopes", params={"kind": "location", "value": "MAIN"})

        assert (made.status_code, made.json()["limit"]) == (201, "250.50")
        assert scoped.json()["scopes"]["location"] == ["MAIN"]
        assert (changed.json()["role"], changed.json()["own_limit"]) == ("manager", None)
        assert freed.json()["scopes"]["location"] == []
        assert "eve" in [user["login"] for user in adam.get("/v1/users").json()["users"]]

    @pytest.mark.parametrize("login", ["vera", "paul", "anna", "mona", "robot"])
    def test_nobody_else_does(self, shared: Door, login: str) -> None:
        client = shared.as_(login)

        codes = [
            client.get("/v1/users").status_code,
            client.get("/v1/users/pia").status_code,
            client.post("/v1/users", json={"login": "eve", "role": "admin"}).status_code,
            client.patch("/v1/users/pia", json={"role": "manager"}).status_code,
            client.patch(f"/v1/users/{login}", json={"limit": "99999"}).status_code,
            client.put("/v1/users/pia/password", json={"password": PASSWORD}).status_code,
            client.post("/v1/keys", json={"login": "pia"}).status_code,
        ]

        assert codes == [403] * 7

    def test_a_role_that_was_taken_away_counts_for_the_next_request(self, door: Door) -> None:
        asked = request_order(door)
        mona = door.as_("mona")

        door.as_("adam").patch("/v1/users/mona", json={"role": "viewer"})
        answer = mona.post(
            f"/v1/approvals/{asked['approval_id']}/decisions",
            json={"decision": "approve", "version": asked["version"]},
            headers={"Idempotency-Key": "k"},
        )

        assert (answer.status_code, answer.json()["details"]["reason"]) == (403, "role")

    def test_a_key_is_made_used_listed_and_revoked(self, shared: Door) -> None:
        mona = shared.as_("mona")
        made = mona.post("/v1/keys", json={"label": "reports", "permissions": ["read"]}).json()
        reports = shared.as_(None, key=made["key"])

        first = reports.get("/v1/session").json()
        gone = mona.delete(f"/v1/keys/{made['key_id']}")

        assert (first["login"], first["permissions"]) == ("mona", ["read"])
        assert gone.status_code == 200
        assert reports.get("/v1/session").status_code == 401
        assert made["key"] not in mona.get("/v1/keys").text


class TestTokens:
    def test_a_linked_persons_token_lets_them_in(self, template: Path, tmp_path: Path) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        shown = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        now = int(time.time())
        with (
            _Serving({"keys": [{**shown, "kid": "k", "use": "sig"}]}) as url,
            open_door(
                template, tmp_path / "data", oidc_issuer=url, oidc_audience="qm",
                oidc_jwks_url=url + "/keys",
            ) as door,
        ):  # fmt: skip
            body = {"iss": url, "aud": "qm", "sub": "m-1", "iat": now, "exp": now + 60}
            client = door.as_(None, key=jwt.encode(body, key, "RS256", headers={"kid": "k"}))

            before = client.get("/v1/session")
            with door.system.database.write() as session:
                access.link(
                    session, "mona", issuer=url, subject="m-1", clock=FixedClock(NOW),
                    by=actor_of(door, "adam"),
                )  # fmt: skip
            after = client.get("/v1/session")

        assert before.status_code == 401
        assert "users link" in before.json()["next"]
        assert after.json()["login"] == "mona"

    def test_without_a_provider_no_token_is_read(self, shared: Door) -> None:
        forged = jwt.encode({"sub": "mona"}, "s" * 32, "HS256")

        assert shared.as_(None, key=forged).get("/v1/items").status_code == 401


class _Serving:
    """A server that answers everything with one JSON document."""

    def __init__(self, document: Any) -> None:
        body = json.dumps(document).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

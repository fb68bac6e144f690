"""The pure parts of the routes: versions, cursors, checks of a model server."""

import contextlib
import http.server
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.routes.approvals import agreed_version
from api.routes.health import model_check
from api.routes.items import decode_cursor, encode_cursor
from tools.errors import InvalidInput


class TestAgreedVersion:
    @pytest.mark.parametrize(
        ("in_body", "if_match", "version"),
        [(3, None, 3), (None, '"3"', 3), (None, "3", 3), (None, 'W/"3"', 3), (3, '"3"', 3)],
    )
    def test_comes_from_body_or_header(
        self, in_body: int | None, if_match: str | None, version: int
    ) -> None:
        assert agreed_version(in_body, if_match) == version

    @pytest.mark.parametrize(
        ("in_body", "if_match"),
        [(None, None), (None, "*"), (None, '"0"'), (None, '"x"'), (3, '"4"'), (None, '"1", "2"')],
    )
    def test_one_version_or_none(self, in_body: int | None, if_match: str | None) -> None:
        with pytest.raises(InvalidInput):
            agreed_version(in_body, if_match)


class TestCursor:
    @given(st.text(max_size=64))
    def test_comes_back_as_it_went(self, key: str) -> None:
        assert decode_cursor(encode_cursor(key)) == key

    @given(st.text(max_size=40))
    def test_what_we_did_not_make_is_refused_or_a_text(self, cursor: str) -> None:
        with contextlib.suppress(InvalidInput):
            assert isinstance(decode_cursor(cursor), str)


class _Models(http.server.BaseHTTPRequestHandler):
    """A model server that answers its list of models with the status in the path."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.split("/")[1]))
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class TestModelCheck:
    @pytest.fixture
    def address(self) -> Iterator[str]:
        with http.server.HTTPServer(("127.0.0.1", 0), _Models) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()
            thread.join()

    def test_an_answer_is_enough(self, address: str) -> None:
        assert model_check(f"{address}/200/v1") == "ok"
        assert model_check(f"{address}/401/v1") == "ok"

    def test_a_failing_server_is_named(self, address: str) -> None:
        assert model_check(f"{address}/503/v1") == "answers 503"

    @pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http:///v1"])
    def test_no_server(self, url: str) -> None:
        assert model_check(url) == "does not answer"

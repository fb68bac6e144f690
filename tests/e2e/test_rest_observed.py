"""What operators see of a running server: numbers, traces, ids in the log; nobody's words."""

import gzip
import http.server
import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from api.logging import configure_logging
from api.telemetry import Traces, traces_to
from tests.factories_rest import (
    Door,
    eventually,
    make_template,
    open_door,
    read_events,
    request_order,
    sent_files,
)
from tools import tracing

CANARY = "canary-words-of-paul"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("observed") / "world")


@pytest.fixture
def door(template: Path, tmp_path: Path) -> Iterator[Door]:
    with open_door(template, tmp_path / "data") as opened:
        yield opened


def _samples(door: Door) -> Samples:
    text = door.as_(None).get("/metrics").text
    return {
        (sample.name.removeprefix("quartermaster_"), tuple(sorted(sample.labels.items()))): float(
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _talk(door: Door, text: str) -> str:
    paul = door.as_("paul")
    thread: str = paul.post("/v1/threads", json={}).json()["thread_id"]
    posted = paul.post(f"/v1/threads/{thread}/messages", json={"text": text})
    with paul.stream("GET", posted.json()["events"]) as response:
        read_events(response)
    return thread


def _approve(door: Door) -> None:
    asked = request_order(door)
    decided = door.as_("mona").post(
        f"/v1/approvals/{asked['approval_id']}/decisions",
        json={"decision": "approve", "version": asked["version"]},
        headers={"Idempotency-Key": uuid4().hex},
    )
    assert decided.status_code == 200, decided.text
    eventually(lambda: sent_files(door))


class TestNumbers:
    def test_count_what_happened(self, door: Door) -> None:
        _talk(door, f"stock of WIDGET-A? {CANARY}")
        _approve(door)
        door.as_("paul").get("/v1/items/GHOST-99")
        door.as_("paul").get("/nowhere/at/all")
        found: Samples = eventually(lambda: _delivered(door))

        def value(name: str, **labels: str) -> float:
            return found[name, tuple(sorted(labels.items()))]

        route = {"method": "GET", "route": "/v1/items/{sku:path}"}
        assert value("http_requests_total", **route, status="404") == 1
        assert value("http_request_seconds_count", **route) == 1
        assert value("http_requests_total", method="GET", route="unmatched", status="404") == 1
        assert value("turns_total", result="completed") >= 1
        assert value("tool_calls_total", tool="get_stock_position", result="ok") >= 1
        assert value("deliveries", state="delivered") == 1
        assert value("deliveries", state="dead") == 0
        assert value("delivery_attempts_total", channel="file", result="delivered") == 1
        assert value("outbox_oldest_seconds") == 0
        assert value("approvals_pending") == 0
        assert value("approvals_decided_total", decision="approve") == 1
        assert value("approval_decision_seconds_bucket", le="3.0") == 1
        assert value("approvals_hasty_total") == 1  # the clock stands still in this test
        assert value("audit_rows") > 2

    def test_name_nobody_and_repeat_nothing_that_was_sent(self, door: Door) -> None:
        _talk(door, CANARY)
        for index in range(30):
            door.as_("paul").get(f"/v1/items/{CANARY}-{index}")
            door.as_("paul").request(f"ODD{index}", "/v1/orders")

        text = door.as_(None).get("/metrics").text

        assert CANARY not in text
        assert not re.search(r"\b(paul|mona|Paul)\b", text)
        assert "ODD7" not in text
        assert len(text.splitlines()) < 400

    def test_are_for_this_machine_only(self, door: Door) -> None:
        nobody = door.as_(None)

        assert nobody.get("/metrics").status_code == 200
        forwarded = nobody.get("/metrics", headers={"X-Forwarded-For": "10.1.2.3"})
        assert forwarded.status_code == 401

    def test_or_for_who_knows_the_token(self, template: Path, tmp_path: Path) -> None:
        with open_door(template, tmp_path / "data", metrics_token="s3cret-of-metrics") as door:
            assert door.as_(None).get("/metrics").status_code == 401
            assert door.as_("paul").get("/metrics").status_code == 401
            assert door.as_(None, key="s3cret-of-metrics").get("/metrics").status_code == 200

    def test_every_alert_of_the_documents_asks_for_a_number_that_exists(self, door: Door) -> None:
        page = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()

        asked = {
            re.sub(r"_(bucket|count|sum|total)$", "", name)
            for name in re.findall(r"\bquartermaster_(\w+)", page)
        }

        have = {name.removeprefix("quartermaster_") for name in _families(door)}
        assert asked
        assert asked <= have, asked - have


def _delivered(door: Door) -> Samples | None:
    found = _samples(door)
    return found if found.get(("deliveries", (("state", "delivered"),))) else None


def _families(door: Door) -> set[str]:
    text = door.as_(None).get("/metrics").text
    return {family.name for family in text_string_to_metric_families(text)}


class _Collector(http.server.BaseHTTPRequestHandler):
    """Takes what is sent to it."""

    posts: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.posts.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class TestTraces:
    @pytest.fixture
    def exporter(self) -> Iterator[InMemorySpanExporter]:
        exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        stop = tracing.listen(Traces(provider))
        yield exporter
        stop()
        provider.shutdown()

    def test_lead_from_the_request_over_the_turn_to_the_tools(
        self, door: Door, exporter: InMemorySpanExporter
    ) -> None:
        thread = _talk(door, f"stock of WIDGET-A? {CANARY}")

        turn = eventually(_found(exporter, lambda span: span.name == "turn"))
        tool = eventually(_found(exporter, lambda span: "get_stock_position" in span.name))
        request = eventually(_found(exporter, lambda span: span.context == turn.parent))
        assert tool.parent == turn.context
        assert request.name == "request POST /v1/threads/{thread_id}/messages"
        assert turn.attributes["quartermaster.thread_id"] == thread
        assert turn.attributes["quartermaster.run_id"] == "1"
        assert request.attributes["quartermaster.request_id"]
        assert {span.context.trace_id for span in (request, turn, tool)} == {turn.context.trace_id}
        assert CANARY not in json.dumps([span.to_json() for span in exporter.get_finished_spans()])

    def test_name_the_delivery(self, door: Door, exporter: InMemorySpanExporter) -> None:
        _approve(door)

        delivery = eventually(_found(exporter, lambda span: span.name == "delivery file"))

        assert delivery.attributes["quartermaster.delivery_key"].startswith("po:PO-")
        assert delivery.attributes["quartermaster.result"] == "delivered"

    def test_are_off_by_default(self, door: Door) -> None:
        assert door.system.settings.otel_endpoint == ""
        assert len(tracing._listeners) == 1  # the numbers

    def test_go_to_the_endpoint_that_is_set(self) -> None:
        with http.server.HTTPServer(("127.0.0.1", 0), _Collector) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            traces = traces_to(f"http://127.0.0.1:{server.server_port}/v1/traces")
            traces.begin("request", "")(tracing.Outcome("GET /healthz"), {"request_id": "r-1"})
            traces.close()
            server.shutdown()
            thread.join()

        assert [path for path, body in _Collector.posts if b"request GET /healthz" in body] == [
            "/v1/traces"
        ]


def _found(
    exporter: InMemorySpanExporter, fits: Callable[[ReadableSpan], bool]
) -> Callable[[], ReadableSpan | None]:
    return lambda: next((span for span in exporter.get_finished_spans() if fits(span)), None)


class TestLog:
    @pytest.fixture
    def lines(self) -> Iterator[io.StringIO]:
        names = ["", "agent", "tools", "api", "db", "evals"]
        levels = {name: logging.getLogger(name).level for name in names}
        handlers, stream = logging.root.handlers, io.StringIO()
        configure_logging(style="json", stream=stream)
        yield stream
        logging.root.handlers = handlers
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        logging.captureWarnings(False)

    def test_requests_turns_and_deliveries_carry_their_ids(
        self, door: Door, lines: io.StringIO
    ) -> None:
        _talk(door, CANARY)
        _approve(door)

        events = eventually(lambda: _logged(lines, "order delivered"))

        answered = [event for event in events if event["event"] == "request answered"]
        assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", one["request_id"]) for one in answered)
        delivered = next(event for event in events if event["event"] == "order delivered")
        assert delivered["delivery_key"].startswith("po:PO-")
        assert CANARY not in lines.getvalue()
        assert not [key for key in door.keys.values() if key in lines.getvalue()]


def _logged(lines: io.StringIO, event: str) -> list[dict[str, str]] | None:
    events = [json.loads(line) for line in lines.getvalue().splitlines()]
    return events if any(one["event"] == event for one in events) else None

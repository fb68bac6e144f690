"""The real client, through the whole graph, against a server that does everything wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from sqlmodel import select

from agent import guard
from agent.chat_models import build_chat_model
from agent.conversation import Conversations
from agent.graph import BROKEN_CALLS
from db.models.conversation import ToolResult
from db.models.purchasing import PurchaseOrder
from db.session import Database
from db.types import OrderState
from tests.conftest import NOW
from tests.factories import make_world_p
from tests.fakes import FAKE_TOOLS
from tests.modelserver import (
    Answer,
    ModelServer,
    breaks_off,
    call_deltas,
    calls_tool,
    chunk,
    drops,
    hangs,
    refuses,
    says,
    streamed,
    thinks,
    web_page,
)
from tools.catalog.core import CatalogueSnapshot
from tools.clock import FixedClock
from tools.company import Company

DRAFT = '{"sku": "WIDGET-A", "quantity": 1200}'
LOOK = '{"sku": "WIDGET-A"}'


class Served:
    """A planner whose agent uses a served model."""

    def __init__(
        self, database: Database, server: ModelServer, model: BaseChatModel, path: Path
    ) -> None:
        with database.write() as session:
            self.paul = make_world_p(session).actors["paul"]
        self.database, self.server = database, server
        self.agent = Conversations(
            database,
            chat_model=model,
            clock=FixedClock(NOW),
            company=Company(currency="USD"),
            checkpoints=path / "memory.db",
            tools=FAKE_TOOLS,
        )
        self.thread = self.agent.create_thread(self.paul)

    def say(self, *answers: Answer, text: str = "order 1200 WIDGET-A") -> str:
        self.server.script = [*self.server.script[: len(self.server.requests)], *answers]
        self.agent.execute(self.agent.post(self.paul, self.thread, text))
        return self.agent.messages(self.paul, self.thread)[-1].text

    @property
    def drafts(self) -> list[int]:
        with self.database.read() as session:
            orders = select(PurchaseOrder).where(PurchaseOrder.state == OrderState.DRAFT)
            return [order.total_minor // 780 for order in session.exec(orders)]

    @property
    def results(self) -> list[dict[str, Any]]:
        with self.database.read() as session:
            return [row.arguments for row in session.exec(select(ToolResult))]


def build(server: ModelServer, timeout_s: float = 10.0) -> BaseChatModel:
    return build_chat_model(
        url=server.url, name="any", timeout_s=timeout_s, max_tokens=500,
        catalogue=lambda: CatalogueSnapshot(()),
    )  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Iterator[ModelServer]:
    with ModelServer() as opened:
        yield opened


@pytest.fixture(scope="module")
def model(running: ModelServer) -> BaseChatModel:
    """One client for all tests: building one reads certificates for a long time."""
    return build(running)


@pytest.fixture
def server(running: ModelServer) -> ModelServer:
    for log in (running.script, running.requests, running.paths):
        log.clear()
    return running


@pytest.fixture
def served(
    sqlite_database: Database, server: ModelServer, model: BaseChatModel, tmp_path: Path
) -> Iterator[Served]:
    opened = Served(sqlite_database, server, model, tmp_path)
    yield opened
    opened.agent.close()


def test_a_whole_call_drafts_and_the_reply_streams(served: Served) -> None:
    reply = served.say(calls_tool("draft_purchase_order", DRAFT), says("Drafted 1,200 units."))

    assert reply == "Drafted 1,200 units."
    assert served.drafts == [1200]


def test_what_is_sent(served: Served) -> None:
    served.say(says("Hello."))

    request = served.server.requests[0]
    assert served.server.paths == ["/v1/chat/completions"]
    assert request["max_tokens"] == 500
    assert "max_completion_tokens" not in request
    assert request["stream_options"] == {"include_usage": True}
    assert request["temperature"] == 0
    assert {tool["function"]["name"] for tool in request["tools"]} >= {"draft_purchase_order"}


@pytest.mark.parametrize("name", ["gpt-6", "gpt-6-codex", "codex-mini", "o3-pro"])
def test_the_name_of_a_model_does_not_change_the_protocol(
    sqlite_database: Database, server: ModelServer, model: BaseChatModel, tmp_path: Path, name: str
) -> None:
    named = model.model_copy(update={"model_name": name})
    served = Served(sqlite_database, server, named, tmp_path)

    served.say(says("Hello."))

    assert server.paths == ["/v1/chat/completions"]


class TestCutCalls:
    """``"quantity": 12|00`` must never order twelve."""

    @pytest.mark.parametrize(
        ("finish", "done"),
        [("length", True), ("tool_calls", True), ("stop", True), (None, True), (None, False)],
    )
    @pytest.mark.parametrize("cut", ['{"sku": "WIDGET-A", "quantity": 12', '{"sku": "WIDGET-A'])
    def test_a_cut_call_never_runs(
        self, served: Served, cut: str, finish: str | None, done: bool
    ) -> None:
        reply = served.say(calls_tool("draft_purchase_order", cut, finish=finish, done=done))

        assert served.drafts == []
        assert served.results == []
        how = "unreadable" if finish in ("tool_calls", "stop") else "cut off"
        assert reply == BROKEN_CALLS.format(how=how)

    @pytest.mark.parametrize(("finish", "done"), [("length", True), (None, True), (None, False)])
    def test_complete_json_without_a_proper_end_is_not_trusted(
        self, served: Served, finish: str | None, done: bool
    ) -> None:
        served.say(calls_tool("draft_purchase_order", DRAFT, finish=finish, done=done))

        assert served.drafts == []

    def test_the_model_may_send_it_again(self, served: Served) -> None:
        reply = served.say(
            calls_tool("draft_purchase_order", DRAFT[:-4], finish="length"),
            calls_tool("draft_purchase_order", DRAFT),
            says("Drafted 1,200."),
        )

        assert (served.drafts, reply) == ([1200], "Drafted 1,200.")
        answer = served.server.requests[1]["messages"][-1]
        assert answer["role"] == "tool"
        assert "cut off" in answer["content"]

    @pytest.mark.parametrize(
        "arguments",
        [
            "{quantity: 1200}", "[]", '"1200"', "null", '{"sku": "W", "quantity": NaN}',
            '{"sku": "W", "quantity": 1e999}', '{"sku": "a\\u0000b"}', '{"sku": "a\\ud800b"}',
            '{"sku": "W", "quantity": 9223372036854775808}',
            '{"sku": ' + "[" * 100_000 + "]" * 100_000 + "}",
        ],
        ids=range(10),
    )  # fmt: skip
    def test_what_is_not_a_json_object_never_runs(self, served: Served, arguments: str) -> None:
        reply = served.say(calls_tool("draft_purchase_order", arguments))

        assert (served.drafts, served.results) == ([], [])
        assert reply == BROKEN_CALLS.format(how="unreadable")

    def test_types_are_checked_strictly(self, served: Served) -> None:
        served.say(
            calls_tool("draft_purchase_order", '{"sku": "WIDGET-A", "quantity": "1200"}'),
            says("That did not work."),
        )

        assert served.drafts == []


class TestOddShapes:
    @pytest.mark.parametrize("id_", ["", None, "call_abc1", "a-very-long-id-" * 9])
    @pytest.mark.parametrize("index", [0, None])
    @pytest.mark.parametrize("finish", ["stop", "tool_calls"])
    def test_missing_ids_and_indexes(
        self, served: Served, id_: str | None, index: int | None, finish: str
    ) -> None:
        served.say(
            calls_tool("get_stock_position", LOOK, id_=id_, index=index, finish=finish),
            says("540 available."),
        )

        assert served.results == [{"sku": "WIDGET-A"}]
        *_, called, answer = served.server.requests[1]["messages"]
        wire_id = called["tool_calls"][0]["id"]
        assert answer["tool_call_id"] == wire_id
        assert len(wire_id) == 9
        assert wire_id.isalnum()

    @pytest.mark.parametrize("ids", [("one", "two"), ("", ""), (None, None), ("one", "one")])
    def test_two_calls_with_index_zero(
        self, served: Served, ids: tuple[str | None, str | None]
    ) -> None:
        first = call_deltas("get_stock_position", LOOK, id_=ids[0])
        second = call_deltas("get_stock_position", '{"sku": "GHOST"}', id_=ids[1])

        served.say(streamed([*first, *second], finish="tool_calls"), says("540 available."))

        skus = sorted(row["sku"] for row in served.results)
        assert skus in (["GHOST", "WIDGET-A"], [])  # both or neither, never a mixture
        assert skus == ["GHOST", "WIDGET-A"] or ids == ("one", "one")

    def test_the_head_of_a_call_repeated_in_every_piece(self, served: Served) -> None:
        deltas = call_deltas("get_stock_position", LOOK)
        for delta in deltas[1:]:
            call = delta["tool_calls"][0]
            call["id"] = "call_abc1"
            call["function"]["name"] = "get_stock_position"

        served.say(streamed(deltas, finish="tool_calls"), says("540 available."))

        assert served.results == [{"sku": "WIDGET-A"}]

    def test_arguments_as_an_object(self, served: Served) -> None:
        call = {"index": 0, "id": "call_abc1", "type": "function"}
        call["function"] = {"name": "draft_purchase_order", "arguments": {"sku": "WIDGET-A"}}

        reply = served.say(streamed([{"tool_calls": [call]}], finish="tool_calls"))

        assert served.drafts == []
        assert "could not be read" in reply or reply == BROKEN_CALLS.format(how="unreadable")

    @pytest.mark.parametrize("name", ["", "no_such_tool", "execute_po"])
    def test_an_unknown_tool(self, served: Served, name: str) -> None:
        reply = served.say(calls_tool(name, "{}"), says("I cannot do that."))

        assert served.drafts == []
        assert reply in ("I cannot do that.", BROKEN_CALLS.format(how="unreadable"))


class TestText:
    def test_thinking_is_not_shown(self, served: Served) -> None:
        reply = served.say(says("<think>The user wants 999 units</think>Which supplier?"))

        assert reply == "Which supplier?"

    @pytest.mark.parametrize(
        "answer", [thinks("hmm " * 50, finish="length"), says("<think>hmm"), streamed([])]
    )
    def test_nothing_but_thinking_is_asked_again_once(self, served: Served, answer: Answer) -> None:
        assert served.say(answer, says("Which supplier?")) == "Which supplier?"
        assert "gave no answer" in served.say(answer)
        assert len(served.server.requests) == 4

    def test_a_call_as_text_is_neither_run_nor_shown(self, served: Served) -> None:
        text = '<tool_call>{"name": "draft_purchase_order", "arguments": {}}</tool_call>'

        reply = served.say(says(text))

        assert "tool_call>" not in reply
        assert "nothing was done" in reply
        assert served.drafts == []

    @pytest.mark.parametrize(("finish", "done"), [(None, False), (None, True), ("length", True)])
    def test_a_cut_text_says_so_and_loses_its_last_word(
        self, served: Served, finish: str | None, done: bool
    ) -> None:
        reply = served.say(says("I would look at Acme fir", finish=finish, done=done))

        assert reply == f"I would look at Acme {guard.CUT_OFF}"

    def test_only_done_missing_is_fine(self, served: Served) -> None:
        assert served.say(says("Which supplier?", done=False)) == "Which supplier?"

    def test_lies_about_figures_are_not_shown(self, served: Served) -> None:
        reply = served.say(
            calls_tool("get_stock_position", LOOK),
            says("You have 5,000 in stock."),
            says("It is 5,000, believe me."),
        )

        assert "5,000" not in reply
        assert "on hand 620" in reply


class TestFailures:
    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (refuses(503, "overloaded at 10.0.0.7"), "busy or out of order"),
            (refuses(500, "secret path"), "busy or out of order"),
            (refuses(429, "slow down"), "busy or out of order"),
            (refuses(401, "bad key sk-123"), "refused our key"),
            (refuses(404, "no model"), "name and settings"),
            (refuses(400, "unsupported parameter"), "name and settings"),
            (breaks_off("I would"), "busy or out of order"),
            (web_page(), "could not be read"),
            (drops("I would"), "hung up"),
        ],
    )
    def test_each_failure_is_one_sentence_and_the_next_turn_works(
        self, served: Served, answer: Answer, words: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        reply = served.say(answer)

        assert words in reply
        assert [record for record in caplog.records if record.levelname != "INFO"] == []
        assert not any(leak in reply for leak in ("10.0.0.7", "secret", "sk-123", "Traceback"))
        assert served.say(says("Hello again.")) == "Hello again."

    def test_a_failure_after_a_tool_keeps_the_history_valid(self, served: Served) -> None:
        served.say(calls_tool("get_stock_position", LOOK), refuses(503, "down"))

        assert served.say(says("540 available.")) == "540 available."
        roles = [message["role"] for message in served.server.requests[-1]["messages"]]
        assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]

    def test_silence_ends(
        self, sqlite_database: Database, server: ModelServer, tmp_path: Path
    ) -> None:
        served = Served(sqlite_database, server, build(server, timeout_s=0.1), tmp_path)

        assert "did not answer in time" in served.say(hangs())
        assert served.drafts == []

    def test_a_slow_drip_ends(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guard, "MAX_ANSWER_S", 0.2)

        reply = served.say(says("word " * 100, between=0.05))

        assert "did not answer in time" in reply

    @pytest.mark.parametrize(
        "answer",
        [
            refuses(400, "prompt is too long", "context_length_exceeded"),
            refuses(400, "This model's maximum context length is 4096 tokens"),
            refuses(400, "the request exceeds the available context size"),
        ],
    )
    def test_a_prompt_that_is_too_long_is_shortened_once(
        self, served: Served, answer: Answer
    ) -> None:
        for _ in range(4):
            served.say(says("Noted. " * 400), text="remember this " * 400)

        assert served.say(answer, says("Hello.")) == "Hello."
        long, short = (sum(len(str(m)) for m in r["messages"]) for r in served.server.requests[-2:])
        assert short < long / 2
        assert "no longer fits" in served.say(answer)

    def test_no_server_at_all(self, sqlite_database: Database, tmp_path: Path) -> None:
        with ModelServer() as gone:
            pass
        served = Served(sqlite_database, gone, build(gone), tmp_path)

        assert "cannot be reached" in served.say()


def test_pieces_of_an_answer_carry_the_usage() -> None:
    assert b'"usage"' in chunk(None, usage={"prompt_tokens": 1})

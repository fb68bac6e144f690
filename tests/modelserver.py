"""A local server that speaks the chat-completions protocol, including everything servers do wrong.

    with ModelServer() as server:
        server.then(says("Hello."), calls_tool("find_item", '{"query": "gloves"}'))
        model = build_chat_model(url=server.url, name="any", catalogue=...)

Each request takes the next answer of the script; the last one is repeated.
"""

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

Part = bytes | float | Literal["drop"]  # bytes to send, seconds to wait, or hang up


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: status, kind of body, and its parts."""

    parts: Sequence[Part] = ()
    status: int = 200
    content_type: str = "text/event-stream"


@dataclass
class ModelServer:
    """The server; ``requests`` holds the body of each request it got."""

    script: list[Answer] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"model": self})
        )
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Base address for a client."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def then(self, *answers: Answer) -> None:
        """Add answers to the script."""
        self.script.extend(answers)

    def answer(self) -> Answer:
        """The answer to the newest request."""
        return self.script[min(len(self.requests), len(self.script)) - 1]

    def wait(self, seconds: float) -> None:
        """Stay silent, but not longer than the test lasts."""
        self._closing.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    """Plays the script of the model that a subclass names."""

    model: ClassVar[ModelServer]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.model.requests.append(json.loads(self.rfile.read(length)))
        self.model.paths.append(self.path)
        try:
            self._answer(self.model.answer())
        except ConnectionError:  # the client gave up
            self.close_connection = True

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        for part in answer.parts:
            if part == "drop":
                self.close_connection = True
                return
            if isinstance(part, float):
                self.model.wait(part)
            elif isinstance(part, bytes):
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_args: Any) -> None:
        """Stay quiet."""


DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    """One server-sent event with a piece of an answer."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
    return f"data: {json.dumps(body | {'choices': choices} | more)}\n\n".encode()


def streamed(
    deltas: Iterable[dict[str, Any]],
    *,
    finish: str | None = "stop",
    done: bool = True,
    between: Part | None = None,
) -> Answer:
    """An answer of these pieces; ``finish=None`` and ``done=False`` let it just end."""
    parts: list[Part] = [chunk({"role": "assistant", "content": ""})]
    for delta in deltas:
        parts.append(chunk(delta))
        if between is not None:
            parts.append(between)
    if finish is not None:
        parts.append(chunk({}, finish))
        usage = {"prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920}
        parts.append(chunk(None, usage=usage))
    if done:
        parts.append(DONE)
    return Answer(parts)


def says(text: str, **options: Any) -> Answer:
    """Plain text, a few characters at a time."""
    pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
    return streamed(({"content": piece} for piece in pieces), **options)


def thinks(text: str, **options: Any) -> Answer:
    """Reasoning in its own field and nothing else."""
    return streamed([{"reasoning_content": text}], **options)


def call_deltas(
    name: str, arguments: str, *, index: int | None = 0, id_: str | None = "call_abc1"
) -> list[dict[str, Any]]:
    """The pieces of one tool call: its head, then its arguments in three parts."""
    head: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": ""}}
    if id_ is not None:
        head["id"] = id_
    third = max(1, len(arguments) // 3)
    tails = [arguments[:third], arguments[third : 2 * third], arguments[2 * third :]]
    calls = [head] + [{"function": {"arguments": tail}} for tail in tails]
    where = {} if index is None else {"index": index}
    return [{"tool_calls": [where | call]} for call in calls]


def calls_tool(
    name: str,
    arguments: str,
    *,
    index: int | None = 0,
    id_: str | None = "call_abc1",
    finish: str | None = "tool_calls",
    done: bool = True,
) -> Answer:
    """One tool call whose arguments are exactly this text."""
    return streamed(call_deltas(name, arguments, index=index, id_=id_), finish=finish, done=done)


def refuses(status: int, message: str, code: str | None = None) -> Answer:
    """An HTTP error in the protocol's shape."""
    body = {"error": {"message": message, "type": "error", "code": code}}
    return Answer([json.dumps(body).encode()], status, "application/json")


def breaks_off(text: str, message: str = "CUDA out of memory at /srv/secret") -> Answer:
    """Some text, then an error object in the middle of the stream."""
    error = {"error": {"message": message, "type": "server_error", "code": 500}}
    return Answer([chunk({"content": text}), f"data: {json.dumps(error)}\n\n".encode()])


def web_page() -> Answer:
    """What a proxy or a wrong address gives."""
    return Answer([b"<!doctype html><title>Welcome</title>"], 200, "text/html")


def hangs(seconds: float = 30.0) -> Answer:
    """Headers, then nothing."""
    return Answer([seconds])


def drops(text: str = "") -> Answer:
    """Hangs up in the middle."""
    return Answer([chunk({"content": text}), "drop"])

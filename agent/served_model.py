"""A chat model behind an OpenAI-compatible server, whose failures are sentences for the user.

Import this lazily: the client library takes a second to load.
"""

import re
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import httpx2
import openai
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI

from agent import guard
from tools.errors import ExternalError

_MOST_BYTES = 32 * 1024 * 1024  # of one answer, with all that the protocol puts around the words
_TOO_LONG = re.compile(r"context|too (?:long|many tokens)|max.{0,20}tokens", re.IGNORECASE)
_SENTENCES = {
    "timeout": guard.TOO_SLOW,
    "connection": "The model server cannot be reached or hung up. Please try again in a moment.",
    "busy": "The model server is busy or out of order. Please try again in a moment.",
    "refused": "The model server refused our key. Please check the model settings.",
    "context": "This conversation no longer fits into the model. Please start a new thread.",
    "request": "The model server refused the request. Please check the model's name and settings.",
    "incompatible": "The model server's answer could not be read; it does not seem to speak the "
    "chat-completions protocol. Please check the model address.",
}
# What the client's own parsing raises; UserWarning where warnings are errors.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, UserWarning)
_BY_TYPE: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((openai.APITimeoutError, httpx2.TimeoutException), "timeout"),
    ((openai.APIConnectionError, httpx2.HTTPError), "connection"),
    ((openai.AuthenticationError, openai.PermissionDeniedError), "refused"),
    ((openai.RateLimitError, openai.InternalServerError), "busy"),
)


class _BoundedStream(httpx2.SyncByteStream):
    """The body of an answer, as long as it comes in time and is no flood.

    The client's own time-out starts anew with every byte, so a server that sends one a second
    would keep a turn for ever, without ever ending a line that somebody could look at.
    """

    def __init__(self, body: httpx2.SyncByteStream) -> None:
        self._body = body
        self._until_s = time.monotonic() + guard.MAX_ANSWER_S

    def __iter__(self) -> Iterator[bytes]:
        count = 0
        for piece in self._body:
            count += len(piece)
            if time.monotonic() > self._until_s:
                raise httpx2.ReadTimeout("the answer takes too long")
            if count > _MOST_BYTES:
                raise httpx2.ReadError("the answer does not end")
            yield piece

    def close(self) -> None:
        """Close the connection."""
        self._body.close()


def bounded_client(timeout_s: float) -> httpx2.Client:
    """Return an HTTP client whose answers end.

    Args:
        timeout_s: How long the server may stay silent.
    """

    def bound(response: httpx2.Response) -> None:
        if isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = _BoundedStream(response.stream)

    return httpx2.Client(
        timeout=timeout_s, follow_redirects=False, event_hooks={"response": [bound]}
    )


class ServedChatModel(ChatOpenAI):
    """The library's client; what it raises while streaming becomes an ``ExternalError``."""

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        is_silent = True
        try:
            for chunk in super()._stream(*args, **kwargs):
                is_silent = False
                yield chunk
        except (openai.OpenAIError, httpx2.HTTPError, *_UNREADABLE) as error:
            _explain(_kind(error), error)
        if is_silent:  # a web page instead of a stream
            _explain("incompatible", None)


def _explain(kind: str, cause: Exception | None) -> NoReturn:
    """Raise one sentence; what the server said stays out of the chat."""
    raise ExternalError(_SENTENCES[kind], details={"kind": kind}) from cause


def _kind(error: Exception) -> str:
    for types, kind in _BY_TYPE:
        if isinstance(error, types):
            return kind
    if not isinstance(error, openai.APIError):
        return "incompatible"
    if _TOO_LONG.search(str(error)):
        return "context"
    return "request" if isinstance(error, openai.APIStatusError) else "busy"

"""A chat model behind an OpenAI-compatible server, whose failures are sentences for the user.

Import this lazily: the client library takes a second to load.
"""

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import httpx2
import openai
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI

from agent.guard import TOO_SLOW
from tools.errors import ExternalError

_TOO_LONG = re.compile(r"context|too (?:long|many tokens)|max.{0,20}tokens", re.IGNORECASE)
_SENTENCES = {
    "timeout": TOO_SLOW,
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

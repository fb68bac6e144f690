"""How an operation shows itself in ``openapi.json``: one example answer and its problems."""

from typing import Any

from api.problems import MEDIA_TYPE, problem, status_of

ENVELOPE_EXAMPLE: dict[str, Any] = {
    "as_of": "2026-03-02T09:00:00+00:00", "data_age_s": 0, "warnings": [], "refs": [],
}  # fmt: skip

Responses = dict[int | str, dict[str, Any]]


def answers(example: Any, *, status: int = 200, codes: tuple[str, ...] = ()) -> Responses:
    """Describe an operation's answers.

    Args:
        example: Body of a good answer.
        status: Its status.
        codes: Codes of the expected problems beside a missing key, a bad request and too many of
            them. Whatever else goes wrong (a body too large or too slow, a busy database) is a
            problem document too: the ``default``.
    """
    described: Responses = {
        status: {"content": {"application/json": {"example": example}}},
    }
    for code in ("not_authenticated", "invalid_input", "too_many_requests", *codes):
        described[status_of(code)] = problem_answer(code)
    return described | {"default": problem_answer("unavailable", 503)}


def problem_answer(code: str, status: int | None = None) -> dict[str, Any]:
    """Describe one problem."""
    shown = problem(
        status or status_of(code), code=code, detail=_SENTENCES[code], request_id="5f0c1d2e3a4b5c6d"
    )
    return {
        "description": shown["title"],
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": shown}
        },
    }


_SENTENCES = {
    "not_authenticated": "this needs an API key",
    "invalid_input": "body /version: Input should be a valid integer",
    "not_found": "there is no item 'WIDGET-Z'",
    "stale": "a-31 changed since version 1",
    "conflict": "a-31 was already approved by mona",
    "forbidden": "21,000.00 USD is above your limit of 10,000.00 USD",
    "too_many_requests": "you send more than 6,000 requests a minute",
    "unavailable": "the server is not ready",
}

"""From the text that a person wrote to a policy, or to a sentence that names line and field."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from tools.errors import InvalidInput
from tools.money import minor_digits
from tools.policy.core.document import UNLIMITED, PolicyDocument, policy_of

MOST_BYTES = 64 * 1024
_DEEPEST = 5  # the policy itself nests three deep
_MOST_PROBLEMS = 5
_NEXT = "See docs/policy.md; `quartermaster policy show` prints a policy that is right."
_SHAPES = {
    "approval": 'it must be an amount that is not negative, such as "10000.00"',
    "tolerances": 'it must be a percentage that is not negative, such as "2.5"',
    "caps": 'it must be an amount that is not negative, such as "10000.00"',
    "blocked": "it must be a code without control characters",
    "currency": "it must be three capital letters",
}

Path = tuple[str, ...]


def read_policy(text: str, *, currency: str) -> PolicyDocument:
    """Read a policy and check everything that can be checked without a database.

    YAML of the plainest kind only: one document, no anchors, no aliases, no tags, no name twice.

    Args:
        text: YAML.
        currency: Company currency; a policy that names another one is refused.

    Raises:
        InvalidInput: It is not a policy; ``details`` has ``line`` and ``field`` of what is wrong.
    """
    if len(text.encode("utf-8", "replace")) > MOST_BYTES:
        raise InvalidInput(f"a policy has at most {MOST_BYTES // 1024} KiB", next_step=_NEXT)
    node = _node(text)
    lines = dict(_lines(node, ()))
    try:
        document = PolicyDocument.model_validate(_value(node))
    except ValidationError as error:
        raise _invalid(error, lines) from None
    try:
        policy_of(document, version=1, currency=currency)
    except InvalidInput as error:
        raise _refused(error.message, ("blocked", "items"), lines) from None
    _check_amounts(document, lines, currency)
    return document.model_copy(update={"currency": currency})


def _node(text: str) -> yaml.Node:
    """Return the document as a tree; what could be abused is refused before the tree is built."""
    try:
        _check_events(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = 1 if mark is None else mark.line + 1
        raise _not_yaml(line, error.problem or "it cannot be read") from None
    except (yaml.YAMLError, ValueError) as error:
        raise _not_yaml(1, str(error).splitlines()[0]) from None
    if not isinstance(node, yaml.MappingNode):
        raise _not_yaml(1, "a policy is a mapping of names to values")
    return node


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _not_yaml(line, "anchors and aliases are not allowed")
        if getattr(event, "tag", None):
            raise _not_yaml(line, "tags are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise _not_yaml(line, f"nothing nests deeper than {_DEEPEST}")


def _value(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as error:
        problem = getattr(error, "problem", None) or "a value cannot be read"
        raise _not_yaml(node.start_mark.line + 1, problem) from None
    finally:
        loader.dispose()


def _lines(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    """Give the line of every field; a name that comes twice is refused."""
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, part in enumerate(node.value):
            yield from _lines(part, (*path, str(index)))
        return
    if not isinstance(node, yaml.MappingNode):
        return
    names = set()
    for name, value in node.value:
        line = name.start_mark.line + 1
        if not isinstance(name, yaml.ScalarNode) or name.tag != "tag:yaml.org,2002:str":
            raise _not_yaml(line, "a name is a plain word")
        if name.value in names:
            raise _not_yaml(line, f"{name.value!r} comes twice")
        names.add(name.value)
        below = dict(_lines(value, (*path, name.value)))
        yield from (below | {(*path, name.value): line}).items()


def _not_yaml(line: int, problem: str) -> InvalidInput:
    return InvalidInput(
        f"the policy cannot be read, line {line}: {problem}",
        next_step=_NEXT,
        details={"line": line, "field": ""},
    )


def _invalid(error: ValidationError, lines: Mapping[Path, int]) -> InvalidInput:
    problems = [
        _problem(
            problem["msg"].removeprefix("Value error, "), problem["type"], problem["loc"], lines
        )
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    told = "; ".join(text for text, _ in problems[:_MOST_PROBLEMS])
    more = len(problems) - _MOST_PROBLEMS
    told += f"; and {more} more" if more > 0 else ""
    return InvalidInput(f"the policy is not valid: {told}", next_step=_NEXT, details=problems[0][1])


def _problem(
    text: str, kind: str, where: tuple[int | str, ...], lines: Mapping[Path, int]
) -> tuple[str, dict[str, Any]]:
    path = tuple(str(part) for part in where)[:8]
    field = ".".join(path)[:200]
    line = next((lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines), 1)
    plain = {
        "extra_forbidden": "there is no such field",
        "missing": "it is missing",
        "string_type": 'it must be written in quotes, such as "10000"',
        "string_pattern_mismatch": _SHAPES.get(path[0] if path else "", "it is not written so"),
    }
    return f"line {line}, {field}: {plain.get(kind, text)}", {"line": line, "field": field}


def _check_amounts(document: PolicyDocument, lines: Mapping[Path, int], currency: str) -> None:
    """Refuse what only looks right: another currency, parts of a cent."""
    if document.currency not in (None, currency):
        text = f"amounts are in {currency}, the company's currency, not {document.currency}"
        raise _refused(text, ("currency",), lines)
    digits = minor_digits(currency)
    for path, amount in _amounts(document):
        decimals = len(amount.partition(".")[2])
        if decimals > digits:
            text = f"{amount!r} has {decimals} decimals, {currency} has {digits}"
            raise _refused(text, path, lines)


def _amounts(document: PolicyDocument) -> Iterator[tuple[Path, str]]:
    approval, caps = document.approval, document.caps
    for role, limit in approval.role_limits:
        if limit != UNLIMITED:
            yield ("approval", "role_limits", role), limit
    for path, amount in (
        (("approval", "self_approval_limit"), approval.self_approval_limit),
        (("approval", "two_person_above"), approval.two_person_above),
        (("caps", "per_supplier"), caps.per_supplier),
        (("caps", "per_requester"), caps.per_requester),
    ):
        if amount is not None:
            yield path, amount


def _refused(text: str, path: Path, lines: Mapping[Path, int]) -> InvalidInput:
    told, details = _problem(text, "", path, lines)
    return InvalidInput(f"the policy is not valid: {told}", next_step=_NEXT, details=details)

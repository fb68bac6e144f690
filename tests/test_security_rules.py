"""Rules that the code itself keeps: known holes are closed, and no door to new ones is opened."""

import ast
import re
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parent.parent
FOLDERS = ("agent", "tools", "api", "db", "evals")

# Lowest version without the hole, by package. What is not installed is checked in the lock files
# only; a package that comes later is checked from then on.
FLOORS = {
    "aiohttp": ("3.12.14", "CVE-2025-53643"),
    "aiosmtpd": ("1.4.6", "CVE-2024-27305 CVE-2024-34083"),
    "certifi": ("2024.7.4", "CVE-2024-39689"),
    "cryptography": ("46.0.5", "CVE-2026-26007 CVE-2024-12797"),
    "fastapi": ("0.109.1", "CVE-2024-24762"),
    "filelock": ("3.20.1", "CVE-2025-68146"),
    "fonttools": ("4.60.2", "CVE-2025-66034"),
    "h11": ("0.16.0", "CVE-2025-43859"),
    "httpx": ("0.23.0", "CVE-2021-41945"),
    "idna": ("3.7", "CVE-2024-3651"),
    "jinja2": ("3.1.6", "CVE-2025-27516 CVE-2024-56326 CVE-2024-56201"),
    "langchain-core": ("1.2.5", "CVE-2025-68664"),
    "langchain-openai": ("1.1.14", "CVE-2026-41488"),
    "langgraph": ("1.0.10", "CVE-2026-28277"),
    "langgraph-checkpoint": ("3.0.0", "CVE-2025-64439"),
    "langgraph-checkpoint-sqlite": ("3.0.1", "CVE-2025-67644 CVE-2025-8709"),
    "lxml": ("4.9.1", "CVE-2022-2309"),
    "mako": ("1.2.2", "CVE-2022-40023"),
    "markdown-it-py": ("2.2.0", "CVE-2023-26303"),
    "openpyxl": ("2.4.2", "CVE-2017-5992"),
    "pillow": ("11.3.0", "CVE-2025-48379"),
    "protobuf": ("6.31.1", "CVE-2025-4565"),
    "pyarrow": ("14.0.1", "CVE-2023-47248"),
    "pydantic": ("2.4.0", "CVE-2024-3772"),
    "pygments": ("2.15.1", "CVE-2022-40896"),
    "pyjwt": ("2.12.0", "CVE-2026-32597 CVE-2024-53861"),
    "pypdf": ("6.4.0", "CVE-2025-66019 CVE-2025-62708 CVE-2025-55197"),
    "python-multipart": ("0.0.27", "CVE-2026-42561 CVE-2026-40347 CVE-2024-53981"),
    "pyyaml": ("5.4", "CVE-2020-14343"),
    "reportlab": ("3.6.13", "CVE-2023-33733"),
    "requests": ("2.32.4", "CVE-2024-47081 CVE-2024-35195"),
    "setuptools": ("78.1.1", "CVE-2025-47273"),
    "starlette": ("1.0.1", "CVE-2026-48710 CVE-2025-62727 CVE-2025-54121 CVE-2024-47874"),
    "tqdm": ("4.66.3", "CVE-2024-34062"),
    "urllib3": ("2.6.3", "CVE-2026-21441 CVE-2025-66471 CVE-2025-66418 CVE-2025-50181"),
    "uvicorn": ("0.11.7", "CVE-2020-7695"),
    "virtualenv": ("20.26.6", "CVE-2024-53899"),
    "werkzeug": ("3.1.4", "CVE-2025-66221 CVE-2024-49767"),
}


class TestKnownHoles:
    @pytest.mark.parametrize("package", FLOORS)
    def test_are_closed_in_what_is_installed(self, package: str) -> None:
        floor, ids = FLOORS[package]
        try:
            installed = version(package)
        except PackageNotFoundError:
            pytest.skip(f"{package} is not installed")

        assert Version(installed) >= Version(floor), ids

    @pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
    def test_are_closed_in_what_will_be_installed(self, lock: str) -> None:
        pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / lock).read_text(), re.MULTILINE))

        low = {
            name: pins[name]
            for name, (floor, _ids) in FLOORS.items()
            if name in pins and Version(pins[name]) < Version(floor)
        }

        assert pins
        assert low == {}

    def test_have_well_formed_numbers(self) -> None:
        for _floor, ids in FLOORS.values():
            assert all(re.fullmatch(r"CVE-20\d\d-\d{4,6}", one) for one in ids.split())


Rule = Callable[[ast.AST], bool]
_FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "telnetlib", "ftplib"}
_OUTWARD = {"smtplib", "socket", "ssl", "urllib.request", "http.client", "requests", "httpx",
            "httpx2", "httpcore2", "aiohttp", "ftplib", "paramiko", "websockets"}  # fmt: skip
_HTTP_CALLS = {"get", "post", "put", "patch", "delete", "request", "urlopen", "HTTPConnection",
               "HTTPSConnection", "Client", "AsyncClient", "SMTP", "SMTP_SSL",
               "create_connection"}  # fmt: skip
_HTTP_OWNERS = {"httpx", "httpx2", "requests", "http", "client", "smtplib", "urllib", "request",
                "socket", ""}  # fmt: skip


def _name(node: ast.AST) -> str:
    """Dotted name of what is called."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}".lstrip(".")
    return node.id if isinstance(node, ast.Name) else ""


def _keywords(node: ast.Call) -> dict[str, ast.expr]:
    return {word.arg: word.value for word in node.keywords if word.arg}


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def builds_sql_of_text(node: ast.AST) -> bool:
    """SQL put together with an f-string, ``%``, ``+`` or ``format``: values belong into parameters.

    A name in capitals or with a leading underscore is a constant of ours and allowed.
    """
    if not (isinstance(node, ast.Call) and _name(node.func).split(".")[-1] in
            {"text", "execute", "exec_driver_sql", "executemany", "executescript"}):  # fmt: skip
        return False
    if not node.args:
        return False
    return _is_composed(node.args[0])


def _is_composed(sql: ast.expr) -> bool:
    if isinstance(sql, ast.JoinedStr):
        parts = [part.value for part in sql.values if isinstance(part, ast.FormattedValue)]
        return not all(_is_constant_of_ours(part) for part in parts)
    if isinstance(sql, ast.BinOp) and isinstance(sql.op, ast.Mod | ast.Add):
        return any(
            isinstance(side, ast.JoinedStr | ast.Constant) for side in (sql.left, sql.right)
        ) and not (_is_literal(sql.left) and _is_literal(sql.right))
    return (
        isinstance(sql, ast.Call)
        and isinstance(sql.func, ast.Attribute)
        and sql.func.attr == "format"
    )


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _is_constant_of_ours(node: ast.expr) -> bool:
    name = _name(node).split(".")[-1]
    return bool(name) and (name.isupper() or name.startswith("_"))


def runs_code(node: ast.AST) -> bool:
    """eval, exec, a shell, or a way to unpack objects from bytes."""
    if isinstance(node, ast.Import):
        return any(alias.name.split(".")[0] in _FORBIDDEN_MODULES for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] in _FORBIDDEN_MODULES
    if not isinstance(node, ast.Call):
        return False
    name = _name(node.func)
    if name in {"eval", "exec", "compile", "os.system", "os.popen", "subprocess.getoutput"}:
        return True
    words = _keywords(node)
    is_shell = "shell" in words and not _is(words["shell"], False)
    loads_objects = name in {
        "yaml.load",
        "yaml.unsafe_load",
        "yaml.full_load",
        "pandas.read_pickle",
    }
    unpickles = "allow_pickle" in words and not _is(words["allow_pickle"], False)
    return is_shell or loads_objects or unpickles


def trusts_anybody(node: ast.AST) -> bool:
    """TLS without checking who is there."""
    if isinstance(node, ast.Attribute):
        return node.attr in {"CERT_NONE", "_create_unverified_context"}
    if isinstance(node, ast.Call):
        return _is(_keywords(node).get("verify"), False)
    return (
        isinstance(node, ast.Assign)
        and any(isinstance(one, ast.Attribute) and one.attr == "check_hostname"
                for one in node.targets)
        and _is(node.value, False)
    )  # fmt: skip


def waits_for_ever(node: ast.AST) -> bool:
    """A network client without a time-out."""
    if not isinstance(node, ast.Call):
        return False
    owner, _, called = _name(node.func).rpartition(".")
    if called not in _HTTP_CALLS or owner.split(".")[-1] not in _HTTP_OWNERS:
        return False
    if not owner and called not in {"urlopen", "create_connection"}:
        return False
    words = _keywords(node)
    return "timeout" not in words or _is(words["timeout"], None)


RULES: dict[str, Rule] = {
    rule.__name__: rule for rule in (builds_sql_of_text, runs_code, trusts_anybody, waits_for_ever)
}
# Where a rule does not hold, and why.
EXCEPTIONS = {
    ("builds_sql_of_text", "api/cli/doctor_house.py"): "names of server settings, from a table",
    ("builds_sql_of_text", "db"): "names of our own tables and settings; no value of anybody's",
    (
        "waits_for_ever",
        "api/routes/health.py",
    ): "the class is chosen first; its call has a time-out",
}


def _sources() -> Iterator[tuple[str, ast.AST]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


@pytest.mark.parametrize("rule", RULES)
def test_the_code_keeps_the_rule(rule: str) -> None:
    broken = [
        f"{name}:{getattr(node, 'lineno', 0)}"
        for name, tree in _sources()
        if not any(rule == kind and name.startswith(where) for kind, where in EXCEPTIONS)
        for node in ast.walk(tree)
        if RULES[rule](node)
    ]

    assert broken == []


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("builds_sql_of_text", 'session.execute(text(f"SELECT * FROM item WHERE sku = {sku}"))'),
        ("builds_sql_of_text", 'session.execute("SELECT 1 WHERE x = %s" % sku)'),
        ("builds_sql_of_text", 'cursor.execute("SELECT " + column)'),
        ("builds_sql_of_text", 'text("SELECT {}".format(x))'),
        ("runs_code", "import pickle"), ("runs_code", "eval(x)"), ("runs_code", "exec(x)"),
        ("runs_code", "subprocess.run(x, shell=True)"), ("runs_code", "yaml.load(x)"),
        ("runs_code", "numpy.load(x, allow_pickle=True)"), ("runs_code", "from shelve import open"),
        ("trusts_anybody", "httpx2.Client(verify=False)"),
        ("trusts_anybody", "context.verify_mode = ssl.CERT_NONE"),
        ("trusts_anybody", "context.check_hostname = False"),
        ("waits_for_ever", "httpx2.get(url)"),
        ("waits_for_ever", "requests.post(url, timeout=None)"),
        ("waits_for_ever", "smtplib.SMTP(host)"), ("waits_for_ever", "httpx2.Client()"),
        ("waits_for_ever", "urllib.request.urlopen(url)"),
        ("waits_for_ever", "socket.create_connection(address)"),
    ],
)  # fmt: skip
def test_the_rule_finds_what_it_forbids(rule: str, code: str) -> None:
    assert any(RULES[rule](node) for node in ast.walk(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        'text("SELECT 1")', 'session.execute(text(f"DROP {_TABLE}"))', "yaml.safe_load(x)",
        "httpx2.Client(timeout=5)", "context.check_hostname = True", 'cache.get("x")',
    ],
)  # fmt: skip
def test_the_rules_leave_the_rest_alone(code: str) -> None:
    assert not [name for name, rule in RULES.items() for node in ast.walk(ast.parse(code))
                if rule(node)]  # fmt: skip


def test_only_gateways_reach_out() -> None:
    """A module that can open a connection is a gateway, the model's client, or listed here."""
    allowed = {
        "agent/served_model.py": "the model server of QM_MODEL_URL",
        "api/cli/doctor.py": "asks the configured servers whether they answer",
        "api/routes/health.py": "asks the model server whether it answers",
    }

    outward = {
        name
        for name, tree in _sources()
        for node in ast.walk(tree)
        if _imported(node) & _OUTWARD and not re.fullmatch(r"tools/\w+/gateway(/\w+)?\.py", name)
    }

    assert outward <= set(allowed), outward - set(allowed)


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module} if isinstance(node, ast.ImportFrom) and node.module else set()


def test_no_get_route_opens_a_write_transaction() -> None:
    """Link previews and scanners follow every link: reading changes nothing.

    Noting when a key or session was last used is the one exception, and sits in ``api/auth.py``.
    """
    writing = [
        f"{path.name}:{function.name}"
        for path in sorted((ROOT / "api" / "routes").glob("*.py"))
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(_name(one.func if isinstance(one, ast.Call) else one).endswith("router.get")
                for one in function.decorator_list)
        and any(isinstance(node, ast.Attribute) and node.attr == "write"
                for node in ast.walk(function))
    ]  # fmt: skip

    assert writing == []


def test_no_route_is_authorised_by_its_path() -> None:
    """A Host header can forge ``request.url``; it may be shown, never decided upon."""
    guilty = [
        f"{name}:{node.lineno}"
        for name, tree in _sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and "request.url" in ast.unparse(node)
        and "scheme" not in ast.unparse(node)
    ]  # fmt: skip

    assert guilty == []


def test_every_test_that_the_threat_model_names_exists() -> None:
    page = (ROOT / "SECURITY.md").read_text()

    named = set(re.findall(r"`(test_\w+)`", page))
    written = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }

    assert len(named) > 30
    assert named <= written, named - written


def test_the_threat_model_maps_every_entry_of_the_lists() -> None:
    page = (ROOT / "SECURITY.md").read_text()

    for entry in [f"LLM{n:02}" for n in range(1, 11)] + [f"ASI{n:02}" for n in range(1, 11)]:
        assert f"| {entry} " in page, entry
    for chapter in range(1, 18):
        assert re.search(rf"\bV{chapter}\b", page), chapter


def test_every_threat_has_a_test() -> None:
    section = (ROOT / "SECURITY.md").read_text().partition("## Threats")[2].partition("## OWASP")[0]

    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]

    assert len(rows) > 20
    assert [row for row in rows if "`test_" not in row] == []

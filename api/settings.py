"""Every knob of the program, read once from ``QM_...`` environment variables.

Each field works offline by default and says what it is for; ``docs/configuration.md`` is this
module printed (``api.configuration``). A variable that nobody reads is an error, so that a typo
never passes for a setting.
"""

import difflib
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from api.secret_files import SUFFIX, secret_fields
from api.settings_forecast import ForecastSettings
from tools.errors import InvalidInput

PREFIX = "QM_"
TEST_PREFIX = "QM_TEST_"
# What the policy says now, by the field that says it.
MOVED = {
    "QM_APPROVAL_TTL_HOURS": "approval.expires_after_hours",
    "QM_SELF_APPROVAL_LIMIT": "approval.self_approval_limit",
    "QM_PRICE_TOLERANCE_BP": "tolerances.price_move_percent",
}

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def _under_data_dir(name: str) -> Any:
    """Make a default that follows ``data_dir``."""

    def build(validated: dict[str, Any]) -> Path:
        data_dir: Path = validated["data_dir"]
        return data_dir / name

    return build


def _default_database_url(validated: dict[str, Any]) -> str:
    path: Path = validated["data_dir"] / "quartermaster.db"
    return f"sqlite:///{path}"


class Settings(ForecastSettings):
    """All settings; frozen, secrets hidden from ``repr``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, env_ignore_empty=True, extra="forbid",
        protected_namespaces=(), str_strip_whitespace=True,
    )  # fmt: skip

    data_dir: Path = Field(
        default=Path(".quartermaster"),
        description="Folder of the database, the conversation memory, the audit key and the "
        "outgoing orders. Created readable by its owner only.",
    )
    database_url: str = Field(
        default_factory=_default_database_url,
        repr=False,
        description="SQLAlchemy address of the database, SQLite or PostgreSQL "
        "(`postgresql+psycopg://user@host/name`).",
        json_schema_extra={"shown_default": "`sqlite:///` + `quartermaster.db` in the data folder"},
    )
    database_pool_size: int = Field(
        default=10, ge=1, le=200, description="Connections to a PostgreSQL server that stay open."
    )
    database_pool_overflow: int = Field(
        default=10, ge=0, le=200, description="Further connections to it under load."
    )
    database_pool_timeout_s: float = Field(
        default=10.0, gt=0, le=120, allow_inf_nan=False,
        description="How long a request waits for a free connection, seconds; then 503.",
    )  # fmt: skip
    database_lock_timeout_s: float = Field(
        default=10.0, gt=0, le=120, allow_inf_nan=False,
        description="How long a write waits for other writers, seconds; then 503.",
    )  # fmt: skip
    database_statement_timeout_s: float = Field(
        default=120.0, ge=0, le=3600, allow_inf_nan=False,
        description="Longest statement on a PostgreSQL server, seconds; 0 is without end.",
    )  # fmt: skip
    checkpoint_file: Path = Field(
        default_factory=_under_data_dir("conversations.db"),
        description="SQLite file of the conversation memory (the agent's checkpoints). On a "
        "PostgreSQL database the memory is there instead, in the schema `conversation_memory`.",
        json_schema_extra={"shown_default": "`conversations.db` in the data folder"},
    )
    audit_key_file: Path = Field(
        default_factory=_under_data_dir("audit.key"),
        description="File with the 32-byte key that seals the audit trail. Created on first use, "
        "readable by its owner only. Keep a copy: without it the trail cannot be verified. Older "
        "keys lie beside it as `<name>.<key id>`.",
        json_schema_extra={"shown_default": "`audit.key` in the data folder"},
    )
    anchor_file: Path = Field(
        default_factory=_under_data_dir("anchors.jsonl"),
        description="File to which the end of the audit trail is written down, so that a cut or "
        "rewritten trail is noticed. Put it on another volume than the database.",
        json_schema_extra={"shown_default": "`anchors.jsonl` in the data folder"},
    )
    anchor_every_rows: int = Field(
        default=1_000, ge=1, le=1_000_000,
        description="After how many new rows the server anchors the audit trail; at least daily, "
        "and whenever it starts or stops.",
    )  # fmt: skip
    outgoing_dir: Path = Field(
        default_factory=_under_data_dir("outgoing"),
        description="Folder into which approved purchase orders are delivered.",
        json_schema_extra={"shown_default": "`outgoing` in the data folder"},
    )

    model_url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="Base address of an OpenAI-compatible model server, such as "
        "`http://127.0.0.1:8000/v1`. Empty: the built-in offline model, no network.",
    )
    model_name: str = Field(default="", description="Name of the model on that server.")
    model_api_key: SecretStr = Field(
        default=SecretStr(""), description="Key for the model server, if it wants one."
    )
    model_timeout_s: float = Field(
        default=60.0, gt=0, le=600, allow_inf_nan=False,
        description="How long one call of the model may take, seconds.",
    )  # fmt: skip
    model_max_tokens: int = Field(
        default=1024, ge=64, le=32_768, description="Longest answer of the model, tokens."
    )
    core_tools_only: bool = Field(
        default=False, description="Give the model the core tools only; helps small local models."
    )

    company_currency: str = Field(
        default="GBP", pattern="^[A-Z]{3}$",
        description="ISO code of the currency in which approval limits are stated.",
    )  # fmt: skip
    timezone: str = Field(
        default="UTC", description="IANA name of the zone whose days are planning days."
    )
    carrying_rate: float = Field(
        default=0.25, ge=0, le=2, allow_inf_nan=False,
        description="Cost of holding inventory, fraction of its value a year.",
    )  # fmt: skip

    user: str = Field(
        default="pat", min_length=1, max_length=64, description="Login of the terminal's user."
    )
    api_key: SecretStr = Field(
        default=SecretStr(""),
        description="API key that says who sits at the terminal; needed on a shared database.",
    )
    host: str = Field(
        default="127.0.0.1", description="Address on which `quartermaster serve` listens."
    )
    port: int = Field(default=8321, ge=0, le=65_535, description="Port of `quartermaster serve`.")
    allow_remote: bool = Field(
        default=False,
        description="Permit a `host` that other machines can reach. Put a proxy with TLS before "
        "it: keys travel in a header.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="Host names under which the server may be called beside the loopback names, "
        'as a JSON list (`["stock.example.org"]`).',
    )
    max_body_bytes: int = Field(
        default=1_000_000, ge=1_000, le=100_000_000,
        description="Largest request body that the REST door reads, bytes.",
    )  # fmt: skip
    behind_tls: bool = Field(
        default=False,
        description="Browsers reach the server over HTTPS only: sends Strict-Transport-Security.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="Addresses of proxies whose `X-Forwarded-For` is believed, as a JSON list. "
        "Empty: nobody's; then all that comes through a proxy counts as one address.",
    )
    requests_per_minute: int = Field(
        default=6_000, ge=0, le=1_000_000,
        description="Requests of one person in any minute; 0 for no limit. Sixteen clients that "
        "decide fifty times a second under one name stay within it.",
    )  # fmt: skip
    address_requests_per_minute: int = Field(
        default=12_000, ge=0, le=10_000_000,
        description="Requests of one address in any minute, signed in or not; 0 for no limit.",
    )  # fmt: skip
    sign_ins_per_minute: int = Field(
        default=30, ge=0, le=10_000,
        description="Tries of one address to sign in with a password in any minute; 0 for no "
        "limit.",
    )  # fmt: skip
    messages_per_minute: int = Field(
        default=120, ge=0, le=100_000,
        description="Chat messages of one person in any minute; 0 for no limit.",
    )  # fmt: skip
    message_characters_per_minute: int = Field(
        default=100_000, ge=0, le=100_000_000,
        description="Characters of one person's chat messages in any minute, about four to a "
        "token; 0 for no limit.",
    )  # fmt: skip
    parallel_requests: int = Field(
        default=8,
        ge=1,
        le=40,
        description="Requests of one person that are worked on at once; more of them wait.",
    )
    body_timeout_s: float = Field(
        default=20.0, gt=0, le=600, allow_inf_nan=False,
        description="How long a request's body may take to arrive, seconds; half of it for its "
        "head.",
    )  # fmt: skip
    inbound_file: Path | None = Field(
        default=None,
        description="File of those who may post acknowledgements, shipments and receipts to "
        "`/v1/inbound/NAME`: their secrets and the suppliers they speak for (docs/inbound.md). "
        "Readable by its owner only.",
        json_schema_extra={"shown_default": "empty"},
    )
    metrics_token: SecretStr = Field(
        default=SecretStr(""),
        description="Bearer token for `GET /metrics`. Empty: only this machine may read it, "
        "and not through a proxy.",
    )
    otel_endpoint: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="Address to which traces are sent (OTLP over HTTP, such as "
        "`http://127.0.0.1:4318/v1/traces`). Empty: none. Needs the extra `otel`.",
    )
    session_idle_minutes: int = Field(
        default=30, ge=1, le=24 * 60,
        description="A signed-in browser that asks nothing for this long is signed out, minutes.",
    )  # fmt: skip
    session_hours: int = Field(
        default=12, ge=1, le=24 * 7,
        description="A signed-in browser is signed out after this long in any case, hours.",
    )  # fmt: skip
    login_attempts: int = Field(
        default=10, ge=1, le=1_000,
        description="Passwords that may be tried for one login in a minute, right or wrong.",
    )  # fmt: skip
    oidc_issuer: str = Field(
        default="",
        pattern=r"^(https://\S+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/\S*)?)?$",
        description="Identity provider whose JWTs are accepted as bearer tokens: the `iss` of its "
        "tokens. Empty: none. Needs the extra `[oidc]`.",
    )
    oidc_audience: str = Field(
        default="", description="The `aud` of tokens that are meant for this server."
    )
    oidc_jwks_url: str = Field(
        default="",
        pattern=r"^(https://\S+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/\S*)?)?$",
        description="Where the provider publishes its keys. Empty: found through its "
        "`/.well-known/openid-configuration`.",
    )
    oidc_algorithms: tuple[Literal["RS256", "ES256", "EdDSA"], ...] = Field(
        default=("RS256", "ES256", "EdDSA"), min_length=1,
        description="Signatures that are accepted, as a JSON list.",
        json_schema_extra={"shown_default": "`[\"RS256\", \"ES256\", \"EdDSA\"]`"},
    )  # fmt: skip
    oidc_link_verified_email: bool = Field(
        default=False,
        description="Let a token without a linked person find one by the e-mail address that the "
        "provider verified.",
    )
    keep_chat_days: int = Field(
        default=90, ge=1, le=3650,
        description="Days after which messages, turns and tool results are deleted. Orders, "
        "approvals and the audit trail are never deleted.",
    )  # fmt: skip
    keep_memory_days: int = Field(
        default=30, ge=1, le=3650,
        description="Days after which the model forgets a conversation in which nobody wrote.",
    )  # fmt: skip
    keep_requests_days: int = Field(
        default=7, ge=1, le=365,
        description="Days for which the answer to a repeated request (Idempotency-Key) is kept.",
    )  # fmt: skip
    chat_workers: int = Field(
        default=2, ge=1, le=32, description="Conversations that the server answers at once."
    )
    shutdown_grace_s: int = Field(
        default=5, ge=1, le=60,
        description="How long a stopping server waits for open streams and running turns, seconds.",
    )  # fmt: skip

    log_level: LogLevel = Field(
        default="INFO", description="`DEBUG`, `INFO`, `WARNING` or `ERROR`."
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="`console` for people, `json` for machines."
    )

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{value!r} is not an IANA time zone") from None
        return value

    @model_validator(mode="after")
    def _an_issuer_has_an_audience(self) -> Self:
        if self.oidc_issuer and not self.oidc_audience:
            raise ValueError("QM_OIDC_ISSUER needs QM_OIDC_AUDIENCE: else any token of it would do")
        return self

    @model_validator(mode="after")
    def _remote_only_on_purpose(self) -> Self:
        if not self.allow_remote and not is_loopback(self.host):
            raise ValueError(
                f"the host {self.host!r} can be reached from other machines; "
                "set QM_ALLOW_REMOTE=true if that is meant"
            )
        return self


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Args:
        environment: Names to check for typos; default: the process environment. Values always come
            from the process environment.

    Raises:
        InvalidInput: A ``QM_`` variable is unknown, or a value is outside its range.
    """
    names = os.environ if environment is None else environment  # noqa: TID251
    _refuse_unknown(names)
    try:
        return Settings()
    except ValidationError as error:
        raise InvalidInput(
            _sentence(error), next_step="See docs/configuration.md for what each setting takes."
        ) from None


def variable(field: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + field.upper()


def _refuse_unknown(names: Mapping[str, str]) -> None:
    known = [variable(field) for field in Settings.model_fields]
    known += [variable(field) + SUFFIX for field in secret_fields(Settings)]
    for name in sorted(names):
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper.startswith(TEST_PREFIX) or upper in known:
            continue
        if upper in MOVED:
            raise InvalidInput(
                f"{upper} is no setting any more: the approval policy says it, in {MOVED[upper]}",
                next_step="Unset it; see `quartermaster policy show` and docs/policy.md.",
                details={"policy_field": MOVED[upper]},
            )
        near = difflib.get_close_matches(upper, known, n=1, cutoff=0.6)
        hint = f"Did you mean {near[0]}?" if near else "docs/configuration.md lists them all."
        raise InvalidInput(
            f"unknown setting {name!r}",
            next_step=hint,
            details={"nearest": near[0] if near else None},
        )


def _sentence(error: ValidationError) -> str:
    """Name what is wrong without repeating the value: it may be a secret."""
    problems = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(variable(str(part)) for part in problem["loc"][:1])
        text = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{where}: {text}" if where else text)
    return "; ".join(problems)


def write_configuration(path: Path) -> None:
    """Print the settings into ``docs/configuration.md``."""
    from api.configuration import write_configuration as write

    write(path)

"""Settings of how approved orders leave the house: who we are, the mail server, signed webhooks."""

import json
import re
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from api.secret_files import SettingsWithFiles

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class DeliverySettings(SettingsWithFiles):
    """The part of ``Settings`` that the ways out are built from; nothing here has a value at first.

    A channel without its settings is not built, and what waits for it is given up loudly.
    """

    company_name: str = Field(
        default="Our company", min_length=1, max_length=60,
        description="How purchase orders name the buyer.",
    )  # fmt: skip
    edi_id: str = Field(
        default="QUARTERMASTER", pattern="^[A-Z0-9]{2,15}$",
        description="Our identifier in X12 and UBL orders, qualifier ZZ.",
    )  # fmt: skip
    delivery_timeout_s: float = Field(
        default=10.0, gt=0, le=40, allow_inf_nan=False,
        description="Longest one e-mail or webhook delivery takes in all, seconds. A stopping "
        "server waits that long for the delivery under way.",
    )  # fmt: skip
    smtp_host: str = Field(
        default="", description="Mail server for orders by e-mail. Empty: no e-mail leaves."
    )
    smtp_port: int = Field(default=587, ge=1, le=65_535, description="Port of the mail server.")
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="`starttls`, `tls` from the first byte, or `none`, which only a server on this "
        "machine may have.",
    )
    smtp_user: str = Field(default="", description="Login at the mail server; empty: none.")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="Password for it.")
    smtp_from: str = Field(
        default="", description="Our address, from which orders are sent (`buying@example.com`)."
    )
    webhook_secrets: SecretStr = Field(
        default=SecretStr(""),
        description="Secrets that sign orders by webhook, as JSON from supplier code to secret "
        '(`{"ACME": "..."}`), at least 16 characters each.',
    )
    webhook_allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="Hosts or addresses inside the house that webhooks may call, also without "
        'TLS, as a JSON list (`["erp.internal"]`). Every other one needs https and a public '
        "address.",
    )

    @field_validator("webhook_secrets")
    @classmethod
    def _secrets_are_an_object(cls, value: SecretStr) -> SecretStr:
        _read_secrets(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _mail_is_whole_and_safe(self) -> Self:
        if self.smtp_host and not re.fullmatch(r"[^@\s]+@[^@\s]+", self.smtp_from):
            raise ValueError("orders by e-mail need our address: set QM_SMTP_FROM")
        if self.smtp_host and self.smtp_tls == "none" and self.smtp_host not in _LOOPBACK:
            raise ValueError(
                f"the mail server {self.smtp_host!r} is another machine: mail to it is encrypted, "
                "set QM_SMTP_TLS to starttls or tls"
            )
        return self

    def supplier_secrets(self) -> dict[str, str]:
        """Return the secrets that sign orders by webhook, by supplier code."""
        return _read_secrets(self.webhook_secrets.get_secret_value())


def _read_secrets(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        read: Any = json.loads(text)
    except ValueError:
        raise ValueError("webhook secrets are JSON from supplier code to secret") from None
    if not isinstance(read, dict) or not all(
        isinstance(secret, str) and len(secret) >= 16 for secret in read.values()
    ):
        raise ValueError("each webhook secret is a text of at least 16 characters")
    return read

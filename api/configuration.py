"""``docs/configuration.md``: the settings, printed."""

from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from api.secret_files import secret_fields
from api.settings import Settings, variable


def render_configuration() -> str:
    """Return ``docs/configuration.md``."""
    lines = [
        "# Configuration",
        "",
        "Settings are environment variables. Every one has a default that works offline, without a",
        "key and without a server. A variable that starts with `QM_` and is not listed here is an",
        "error. This page is printed from `api/settings.py`: change the descriptions there.",
        "",
        "A secret may come from a file instead, named by the variable with `_FILE` behind it: "
        + ", ".join(f"`{variable(name)}_FILE`" for name in secret_fields(Settings))
        + ".",
        "",
        "| variable | default | what it is |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        lines.append(f"| `{variable(name)}` | {_shown_default(field)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _shown_default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "shown_default" in extra:
        return str(extra["shown_default"])
    default = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, bool):
        default = str(default).lower()
    return "empty" if default in ("", ()) else f"`{default}`"


def write_configuration(path: Path) -> None:
    """Write the page; the documents test compares it with ``render_configuration``."""
    path.write_text(render_configuration(), encoding="utf-8")

"""Secrets from files: ``QM_API_KEY_FILE`` names a file that holds what ``QM_API_KEY`` would.

An environment is shown by process lists, crash reports and container tools; a file has an owner.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from tools.errors import InvalidInput

SUFFIX = "_FILE"
_MOST_BYTES = 64 * 1024


def is_secret(name: str, field: FieldInfo) -> bool:
    """Whether a setting may come from a file: a secret, or an address that can hold a password."""
    return field.annotation is SecretStr or name == "database_url"


def secret_fields(settings: type[BaseSettings]) -> list[str]:
    """Return the names of the settings that may come from a file."""
    return [name for name, field in settings.model_fields.items() if is_secret(name, field)]


class SecretFiles(EnvSettingsSource):
    """Reads the files that the environment names."""

    def __call__(self) -> dict[str, Any]:
        """Return the secrets by field.

        Raises:
            InvalidInput: A file cannot be read, or a secret is given twice.
        """
        found = {}
        for name in secret_fields(self.settings_cls):
            variable = f"{self.env_prefix}{name}".upper()
            path = self._named(f"{variable}{SUFFIX}")
            if not path:
                continue
            if self._named(variable):
                raise InvalidInput(
                    f"both {variable} and {variable}{SUFFIX} are set", next_step="Keep one of them."
                )
            found[name] = _content(f"{variable}{SUFFIX}", Path(path))
        return found

    def _named(self, variable: str) -> str | None:
        values: Mapping[str, str | None] = self.env_vars
        return values.get(variable.lower()) or values.get(variable)


def _content(variable: str, path: Path) -> str:
    """Read a secret; neither it nor anything near it is ever part of the error."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode().strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it holds no text"
        raise InvalidInput(
            f"the file that {variable} names cannot be read: {why}",
            next_step="Check its path and who may read it.",
        ) from None
    if not text or len(content) > _MOST_BYTES:
        raise InvalidInput(f"the file that {variable} names is empty or far too long for a secret")
    return text


class SettingsWithFiles(BaseSettings):
    """Settings whose secrets may come from files; what is given directly counts first."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment, and the files it names for secrets."""
        return init_settings, env_settings, SecretFiles(settings_cls)

"""What a backup holds: a list of files with their SHA-256, and what the database said then."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from tools.errors import InvalidInput

NAME = "manifest.json"
FORMAT = 1
SQLITE_FILE = "database.db"
POSTGRES_FILE = "database.dump"
MEMORY_FILE = "conversations.db"
ANCHOR_FILE = "anchors.jsonl"
OUTGOING = "outgoing"
_BLOCK = 1 << 20
_LONGEST = 10_000_000  # bytes of a manifest

Engine = Literal["sqlite", "postgresql"]


@dataclass(frozen=True)
class File:
    """One file of a backup; ``name`` is its path in it."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """Identity of a backup."""

    made_at: datetime
    program: str
    engine: Engine
    revision: str
    audit_rows: int
    rows: Mapping[str, int]
    files: tuple[File, ...]

    @property
    def size_bytes(self) -> int:
        """How much it holds."""
        return sum(file.size_bytes for file in self.files)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while block := opened.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def files_in(folder: Path) -> Iterator[File]:
    """Describe every file of a folder, by name."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != NAME:
            name = path.relative_to(folder).as_posix()
            yield File(name, sha256_of(path), path.stat().st_size)


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into the folder of the backup."""
    content = {"format": FORMAT, **asdict(manifest), "made_at": manifest.made_at.isoformat()}
    (folder / NAME).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def read(folder: Path) -> Manifest:
    """Read the manifest and check that every file is there as it was written.

    Raises:
        InvalidInput: It is not a backup, of a newer format, or a file is missing or changed.
    """
    manifest = _parsed(folder / NAME)
    for file in manifest.files:
        path = folder / file.name
        if not path.is_file() or path.is_symlink():
            raise _broken(f"{file.name!r} is missing")
        if path.stat().st_size != file.size_bytes or sha256_of(path) != file.sha256:
            raise _broken(f"{file.name!r} is not what was written")
    return manifest


def is_safe_name(name: str) -> bool:
    """Whether a name of a backup stays inside its folder."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\\" not in name


def _parsed(path: Path) -> Manifest:
    try:
        if path.stat().st_size > _LONGEST:
            raise ValueError("too long")
        content: dict[str, Any] = json.loads(path.read_text())
        if content.pop("format") != FORMAT:
            raise _broken("it was made by a newer version of the program")
        files = tuple(File(**file) for file in content.pop("files"))
        made_at = datetime.fromisoformat(content.pop("made_at"))
        manifest = Manifest(made_at=made_at, files=files, **content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise _broken(f"it has no readable {NAME}") from None
    if not all(is_safe_name(file.name) for file in manifest.files):
        raise _broken("it names a file outside of itself")
    return manifest


def _broken(why: str) -> InvalidInput:
    return InvalidInput(
        f"this backup cannot be used: {why}",
        next_step="Take another backup; this one was damaged or is none.",
    )

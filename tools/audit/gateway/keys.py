"""The keys that seal the trail, as files."""

import contextlib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.errors import InvalidInput

KEY_BYTES = 32
_OTHERS = stat.S_IRWXO
_OLD_KEY = re.compile(r"\.[0-9a-f]{16}$")


def key_id_of(key: bytes) -> str:
    """Return the name of a key: 16 hex digits of its SHA-256, which says nothing about it."""
    return hashlib.sha256(key).hexdigest()[:16]


class Keyring(Mapping[str, bytes]):
    """The keys of a trail by id, from the key file and ``<key file>.<id>`` beside it.

    The file without an id is the key that a new trail starts with. A key that is not known is
    looked for once more, so that a running server finds the key that another process made.
    """

    def __init__(self, path: Path) -> None:
        """Read the keys.

        Raises:
            InvalidInput: A key is damaged, or others can read it.
        """
        self.path = path
        self._keys: dict[str, bytes] = {}
        self.reload()

    def __getitem__(self, key_id: str) -> bytes:
        """Return a key; looks into the folder again for one that is not known."""
        if key_id not in self._keys:
            self.reload()
        return self._keys[key_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def reload(self) -> None:
        """Read every key file again."""
        found = [_read_key(path) for path in (self.path, *_beside(self.path)) if path.exists()]
        self._keys = {key_id_of(key): key for key in found}

    @property
    def file_key_id(self) -> str:
        """The id of the key in the key file."""
        return key_id_of(_read_key(self.path))

    def prepare(self) -> str:
        """Make the next key beside the file, and keep the one in the file there too.

        Nothing signs with it before a row of the trail names it: a crash here leaves a file that
        nobody uses.

        Returns:
            The new key's id.
        """
        old, new = _read_key(self.path), secrets.token_bytes(KEY_BYTES)
        for key in (old, new):
            _write_once(self._beside(key_id_of(key)), key)
        self.reload()
        return key_id_of(new)

    def promote(self, key_id: str) -> None:
        """Put a key into the key file; the one that was there stays beside it."""
        old = _read_key(self.path)
        _write_once(self._beside(key_id_of(old)), old)
        draft = _draft(self.path, self[key_id])
        draft.replace(self.path)
        sync_folder(self.path.parent)
        self.reload()

    def discard(self, key_id: str) -> None:
        """Throw a prepared key away that no row came to name."""
        self._beside(key_id).unlink(missing_ok=True)
        self.reload()

    def _beside(self, key_id: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{key_id}")


def create_key(path: Path) -> bool:
    """Make a key file unless there is one; of two processes at once, one makes it."""
    return not path.exists() and _write_once(path, secrets.token_bytes(KEY_BYTES))


def _beside(path: Path) -> list[Path]:
    return sorted(
        old for old in path.parent.glob(f"{path.name}.*") if _OLD_KEY.fullmatch(old.suffix)
    )


def _read_key(path: Path) -> bytes:
    mode = path.stat().st_mode
    if os.name == "posix" and mode & _OTHERS:
        raise InvalidInput(
            f"the audit key {str(path)!r} is open to everybody on this machine "
            f"(mode {stat.S_IMODE(mode):o})",
            next_step=f"Run `chmod 600 {path}`; if somebody may have read it, also "
            "`quartermaster audit rotate-key --reason ...`.",
        )
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise InvalidInput(
            f"the audit key {str(path)!r} holds {len(key)} bytes, not {KEY_BYTES}",
            next_step="Restore it from the backup.",
        )
    if _OLD_KEY.fullmatch(path.suffix) and path.suffix != f".{key_id_of(key)}":
        raise InvalidInput(
            f"the audit key {str(path)!r} is not the key that its name says",
            next_step="Restore it from the backup.",
        )
    return key


def _write_once(path: Path, key: bytes) -> bool:
    """Write a complete file aside and link it into place: nobody ever reads half a key."""
    if path.exists():
        return False
    draft = _draft(path, key)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
            sync_folder(path.parent)
            return True
        return False
    finally:
        draft.unlink()


def _draft(path: Path, key: bytes) -> Path:
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return draft


def sync_folder(folder: Path) -> None:
    """Make names in a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Write a report so that nobody ever finds half of one."""

import os
import tempfile
from pathlib import Path

from tools.errors import InvalidInput


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one step: the old file stays until the new one is complete.

    Raises:
        InvalidInput: The folder or the file cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        os.replace(name, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        Path(name).unlink(missing_ok=True)  # nothing to do when it took the place of the old one


def _unwritable(path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"the report {str(path)!r} cannot be written: {error.strerror or error}",
        next_step="Choose another place with --html.",
    )

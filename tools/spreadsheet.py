"""Cells for people who open an export in a spreadsheet: text stays text."""

import re
import unicodedata

# What makes Excel, LibreOffice and Google Sheets read a cell as a formula; the full-width signs are
# folded to the plain ones by some of them on import.
FORMULA_STARTS = frozenset("=+-@\t\r\n\0＝＋－＠")  # noqa: RUF001
_NUMBER = re.compile(r"[+-]?[0-9][0-9,]*(\.[0-9]+)?")


def safe_cell(value: object) -> str:
    r"""Return the text of a cell that no spreadsheet takes for a formula.

    A text that could be read as a formula gets a leading apostrophe; numbers, also negative ones
    and those written as text, stay as they are; NUL is dropped, for no spreadsheet can hold it.

    Example:
        >>> safe_cell('=HYPERLINK("http://x")'), safe_cell(-5), safe_cell("-2+3"), safe_cell(None)
        ('\'=HYPERLINK("http://x")', '-5', "'-2+3", '')
    """
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, str) and _is_live(text):
        text = f"'{text}"
    return text.replace("\0", "")


def _is_live(text: str) -> bool:
    """Whether the first sign that counts starts a formula; spaces and invisible signs do not."""
    if _NUMBER.fullmatch(text):
        return False
    seen = next((sign for sign in text if not _is_skipped(sign)), "")
    return seen in FORMULA_STARTS if seen else False


def _is_skipped(sign: str) -> bool:
    return unicodedata.category(sign) in ("Zs", "Cf")

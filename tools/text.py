"""Free text that people and suppliers write: kept readable, made harmless."""

import unicodedata

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SPACES = str.maketrans({"\t": " ", "\r": "\n", "\u2028": "\n", "\u2029": "\n", "\x85": "\n"})


def plain_text(text: str, *, longest: int) -> str:
    r"""Return a text without control characters, cut to ``longest`` characters.

    Control characters could rewrite a terminal, overrides of the writing direction could show a
    reader other words than are stored, and half a surrogate pair cannot be stored at all. Line
    breaks stay.

    >>> plain_text("two\r\nlines \x1b[2J\u202eand a\0 trick\ud800 ", longest=40)
    'two\nlines [2Jand a trick'
    """
    lines = text.replace("\r\n", "\n").translate(_SPACES)
    return "".join(sign for sign in lines if _is_plain(sign)).strip()[:longest].rstrip()


def plain_line(text: str, *, longest: int) -> str:
    r"""Return a text as ``plain_text`` does, on one line.

    >>> plain_line("DN\n 17", longest=40)
    'DN 17'
    """
    return " ".join(plain_text(text, longest=longest).split())


def _is_plain(sign: str) -> bool:
    return sign == "\n" or (sign not in _BIDI and unicodedata.category(sign) not in ("Cc", "Cs"))

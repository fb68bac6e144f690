"""The order as PDF: what a person at the supplier reads.

The letters are DejaVu Sans, which comes with the program (Latin, Greek, Cyrillic and more).
Chinese, Japanese and Korean are named to the reader's own fonts, as the PDF standard has it. A sign
that neither can show is printed as its code, ``[U+1F9FF]``: an order never shows a blank where the
supplier's article has a letter.
"""

import functools
import io
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from tools.documents.core.order import Buyer, Line, Order, Signature

_TEXT, _BOLD = "QuartermasterSans", "QuartermasterSans-Bold"
_FONTS = Path(__file__).parent / "fonts"
_CJK = (  # first and last code point, the standard font that readers have for it
    (0x3040, 0x30FF, "HeiseiKakuGo-W5"),
    (0xAC00, 0xD7A3, "HYGothic-Medium"),
    (0x3000, 0x303F, "STSong-Light"),
    (0x4E00, 0x9FFF, "STSong-Light"),
    (0xFF01, 0xFF5E, "STSong-Light"),
)
_INK, _QUIET, _RULE = (
    colors.HexColor("#1b2733"), colors.HexColor("#5c6b7a"), colors.HexColor("#c9d1d9")
)  # fmt: skip
_PADDING = 6  # of the frame in which everything stands, points
_WIDTHS = (9 * mm, 32 * mm, 59 * mm, 26 * mm, 24 * mm, 28 * mm)


def order_pdf(order: Order, buyer: Buyer) -> bytes:
    """Return the document, A4; the same order is the same bytes."""
    _register_fonts()
    out = io.BytesIO()
    template = SimpleDocTemplate(
        out, pagesize=A4, invariant=1, topMargin=16 * mm, bottomMargin=20 * mm,
        leftMargin=16 * mm - _PADDING, rightMargin=16 * mm - _PADDING,
        title=f"Purchase order {order.number}", author=buyer.name,
        subject=order.key, creator="Quartermaster", producer="Quartermaster",
    )  # fmt: skip
    story = [*_head(order, buyer), *_lines(order), *_signed(order)]
    template.build(story, canvasmaker=_numbered(f"{order.number} · {order.key}"))
    return out.getvalue()


@functools.cache
def _register_fonts() -> None:
    pdfmetrics.registerFont(TTFont(_TEXT, str(_FONTS / "DejaVuSans.ttf")))
    pdfmetrics.registerFont(TTFont(_BOLD, str(_FONTS / "DejaVuSans-Bold.ttf")))
    for name in sorted({font for _, _, font in _CJK}):
        pdfmetrics.registerFont(UnicodeCIDFont(name))


@functools.cache
def _glyphs() -> frozenset[int]:
    return frozenset(pdfmetrics.getFont(_TEXT).face.charToGlyph)


def marked_up(text: str) -> str:
    """Return a text as paragraph markup: nothing in it is markup, every sign has a font.

    >>> marked_up("<b>A&B</b>")
    '&lt;b&gt;A&amp;B&lt;/b&gt;'
    >>> marked_up("螺 \U0001f9ff")
    '<font name="STSong-Light">螺</font> [U+1F9FF]'
    """
    _register_fonts()
    parts = []
    for font, signs in groupby(text, _font_of):
        run = "".join(signs)
        if font is None:
            parts.append("".join(f"[U+{ord(sign):04X}]" for sign in run))
        elif font:
            parts.append(f'<font name="{font}">{escape(run)}</font>')
        else:
            parts.append(escape(run))
    return "".join(parts)


def _font_of(sign: str) -> str | None:
    """Return the font for a sign: empty for the usual one, None where no font has it."""
    code = ord(sign)
    for first, last, font in _CJK:
        if first <= code <= last:
            return font
    return "" if code in _glyphs() else None


def _style(size: float = 9, *, bold: bool = False, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(
        "text", fontName=_BOLD if bold else _TEXT, fontSize=size, leading=size * 1.35,
        textColor=more.pop("color", _INK), **more,
    )  # fmt: skip


def _said(text: str, size: float = 9, **style: Any) -> Paragraph:
    return Paragraph(marked_up(text), _style(size, **style))


def _named(label: str, *texts: str) -> list[Flowable]:
    """Return a small heading over what it names."""
    return [_said(label, 7, color=_QUIET), *(_said(text) for text in texts if text)]


def _head(order: Order, buyer: Buyer) -> Iterator[Flowable]:
    yield _said(f"Purchase order {order.number}", 18, bold=True)
    issued = f"{order.issued_at:%-d %B %Y}"
    yield _said(f"{buyer.name} · revision {order.revision} · {issued}", 9, color=_QUIET)
    yield Spacer(1, 6 * mm)
    need_by = "as soon as possible" if order.need_by is None else f"{order.need_by:%-d %B %Y}"
    supplier = _named("SUPPLIER", order.supplier_name, order.supplier_code, order.supplier_email)
    deliver = [*_named("DELIVER TO", order.ship_to), Spacer(1, 2 * mm),
               *_named("NEEDED BY", need_by)]  # fmt: skip
    reference = [
        *_named("CUSTOMER REFERENCE, PLEASE QUOTE", order.key),
        _said("The same reference is the same order: book it once.", 7, color=_QUIET),
    ]
    yield Table(
        [[supplier, deliver, reference]], colWidths=(60 * mm, 46 * mm, 72 * mm),
        style=TableStyle([
            ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, -1), 0),
        ]),
    )  # fmt: skip
    yield Spacer(1, 6 * mm)


def _lines(order: Order) -> Iterator[Flowable]:
    heads = ("#", "Article", "Description", "Quantity", "Unit price", f"Amount {order.currency}")
    right = {"alignment": TA_RIGHT}
    top = [_said(head, 8, bold=True, **(right if at > 2 else {})) for at, head in enumerate(heads)]
    rows = [top, *(_row(line) for line in order.lines)]
    total = [_said(f"Total {order.currency}", 10, bold=True), "", "", "", ""]
    rows.append([*total, _said(_grouped(order.total), 10, bold=True, **right)])
    yield Table(
        rows, colWidths=_WIDTHS, repeatRows=1,
        style=TableStyle([
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, _INK),
            ("LINEBELOW", (0, 1), (-1, -3), 0.3, _RULE),
            ("LINEABOVE", (0, -1), (-1, -1), 0.8, _INK),
            ("SPAN", (0, -1), (4, -1)),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
        ]),
    )  # fmt: skip


def _row(line: Line) -> list[Any]:
    packs = "" if line.packs is None or line.pack_uom == line.uom else (
        f"{line.packs:,} {line.pack_uom}{'' if line.packs == 1 else 's'}"
    )  # fmt: skip
    right = {"alignment": TA_RIGHT}
    ours = f"our {line.sku}" if line.supplier_sku else ""
    return [
        _said(str(line.number)),
        [_said(line.supplier_sku or line.sku), *([_said(ours, 7, color=_QUIET)] if ours else [])],
        _said(line.name),
        [_said(f"{line.units:,} {line.uom}", **right),
         *([_said(packs, 7, color=_QUIET, **right)] if packs else [])],
        _said(_grouped(line.unit_price), **right),
        _said(_grouped(line.amount), **right),
    ]  # fmt: skip


def _signed(order: Order) -> Iterator[Flowable]:
    yield Spacer(1, 8 * mm)
    blocks = [[_signature(one), ""] for one in order.signatures]
    rule = TableStyle([
        ("LINEABOVE", (0, 0), (0, -1), 0.5, _RULE), ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("NOSPLIT", (0, 0), (-1, -1)), ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
    ])  # fmt: skip
    heading = _said(f"SIGNED ELECTRONICALLY, APPROVAL {order.approval.upper()}", 7, color=_QUIET)
    yield Table([[heading, ""], *blocks], colWidths=(100 * mm, 78 * mm), style=rule)
    yield _said(f"Content SHA-256 {order.fingerprint}", 6.5, color=_QUIET)


def _signature(signed: Signature) -> list[Flowable]:
    at = f"{signed.signed_at:%-d %B %Y, %H:%M:%S} UTC"
    return [_said(signed.name, 10, bold=True), _said(f"{at} · meaning: {signed.meaning}", 8)]


def _grouped(amount: str) -> str:
    whole, dot, rest = amount.partition(".")
    return f"{int(whole):,}{dot}{rest}" if whole.strip("-") else amount


def _numbered(footer: str) -> Callable[..., Canvas]:
    """Return a canvas that writes the footer when it knows how many pages there are."""

    class Numbered(Canvas):  # type: ignore[misc]
        """Keeps every page until the last one is there."""

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:
            """Put a page aside."""
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            """Write the pages with their numbers."""
            for number, page in enumerate(self._pages, start=1):
                self.__dict__.update(page)
                mark = f"page {number} of {len(self._pages)}"
                self._foot(mark)
                super().showPage()
            super().save()

        def _foot(self, mark: str) -> None:
            shown = Paragraph(marked_up(footer), _style(7, color=_QUIET))
            shown.wrapOn(self, 140 * mm, 10 * mm)
            shown.drawOn(self, 16 * mm, 10 * mm)
            self.setFont(_TEXT, 7)
            self.setFillColor(_QUIET)
            self.drawRightString(A4[0] - 16 * mm, 10 * mm + 2, mark)

    return Numbered

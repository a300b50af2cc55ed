"""Why a server's certificate was not accepted, and until when it holds: libpq says only that it failed.

Asked once more, by Python's own TLS, only after libpq has refused. Whatever goes wrong here costs the explanation.
"""

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pgvigil.postgres.deadlines import limit

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_DEFAULT_ROOT = Path("~/.postgresql/root.crt")
_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0x17, 0x18


def reason(parameters: Mapping[str, str], within_s: float) -> str:
    """Such as "certificate has expired; it is valid from 2026-11-01 to 2026-11-20 08:00 UTC"; empty if nothing is known.

    `parameters` are libpq's for one address.
    """
    refused, validity = "", ""
    with contextlib.suppress(OSError, ValueError, IndexError, struct.error):
        refused = _refusal(parameters, within_s)
    with contextlib.suppress(OSError, ValueError, IndexError, struct.error):
        validity = _words(*_validity(_certificate(parameters, within_s)))
    return "; ".join(filter(None, (refused, validity)))


def _refusal(parameters: Mapping[str, str], within_s: float) -> str:
    """What the chain's verification says; empty where it says yes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # libpq names that by itself, and by rules of its own
    root = parameters.get("sslrootcert") or str(_DEFAULT_ROOT.expanduser())
    if root == "system":
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=root)
    try:
        with _handshake(parameters, context, within_s):
            return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message


def _certificate(parameters: Mapping[str, str], within_s: float) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # to look at it; nothing is said over this connection
    with _handshake(parameters, context, within_s) as connection:
        return connection.getpeercert(binary_form=True) or b""


@contextlib.contextmanager
def _handshake(
    parameters: Mapping[str, str], context: ssl.SSLContext, within_s: float
) -> Iterator[ssl.SSLSocket]:
    host = parameters.get("hostaddr") or parameters.get("host", "")
    port = int(parameters.get("port") or 5432)
    with (
        socket.create_connection((host, port), timeout=within_s) as plain,
        limit(plain.fileno(), within_s),
    ):
        plain.sendall(_SSL_REQUEST)
        if plain.recv(1) != b"S":
            raise ConnectionError("no TLS")
        with context.wrap_socket(plain, server_hostname=parameters.get("host") or None) as encrypted:
            yield encrypted


# --- the certificate's dates (RFC 5280, 4.1: Certificate > tbsCertificate > validity) -----------------------


def _validity(certificate: bytes) -> tuple[datetime, datetime]:
    """NotBefore and notAfter of a certificate in DER. Raises ValueError or IndexError for anything else."""
    _, outer, _ = _element(certificate, 0)
    _, fields, _ = _element(outer, 0)
    at = 0
    for _ in range(7):  # version (optional), serial number, algorithm, issuer, validity ...
        tag, content, at = _element(fields, at)
        if tag == _SEQUENCE and content[:1] and content[0] in (_UTC_TIME, _GENERALIZED_TIME):
            first, start, behind = _element(content, 0)
            second, end, _ = _element(content, behind)
            return _time(first, start), _time(second, end)
    raise ValueError("no validity")


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag, content, and where the next begins."""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(data[at : at + count]), at + count
    return tag, data[at : at + length], at + length


def _time(tag: int, content: bytes) -> datetime:
    """A year of two digits is of 1950 to 2049, which is how strptime would not read it."""
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _words(start: datetime, end: datetime) -> str:
    return f"it is valid from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"

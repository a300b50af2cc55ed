"""The server's certificate: until when it holds, and why it was not accepted, which libpq does not say.

libpq shows neither, so it is asked for by a handshake of our own, with Python's TLS, over which nothing is said.
"""

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pgvigil.model.certificate import Certificate
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres.deadlines import limit
from pgvigil.postgres.errors import ReadError, classify, safe_text

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_DEFAULT_ROOT = Path("~/.postgresql/root.crt")
_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0x17, 0x18


def of_server(parameters: Mapping[str, str], within_s: float) -> Certificate | None:
    """What it shows now; None where it offers no TLS. `parameters` are libpq's for one address. Raises ReadError."""
    if not parameters.get("hostaddr") and parameters.get("host", "/")[:1] in {"", "/", "@"}:
        return None  # a local socket, which knows no TLS
    try:
        return Certificate(*_validity(_certificate(parameters, within_s)))
    except _NoTlsError:
        return None
    except TimeoutError:
        raise ReadError(Failure(FailureKind.SILENT, f"no TLS handshake within {within_s:g}s")) from None
    except ssl.SSLError as error:
        raise ReadError(Failure(FailureKind.TLS, f"TLS handshake failed: {error.reason}")) from None
    except OSError as error:
        raise ReadError(_broken(error)) from None
    except (ValueError, IndexError):
        raise ReadError(Failure(FailureKind.PROTOCOL, "what the server shows is no certificate")) from None


def _broken(error: OSError) -> Failure:
    failure = classify(error)
    if failure.kind is FailureKind.RESOURCES:
        return failure
    return Failure(FailureKind.LOST, safe_text(f"no TLS handshake: {error.strerror or error}"))


def reason(parameters: Mapping[str, str], within_s: float) -> str:
    """Such as "certificate has expired; it is valid from 2026-11-01 to 2026-11-20 08:00 UTC"; empty if nothing is known.

    Asked after libpq has refused; whatever goes wrong here costs the explanation. `parameters` are those of one address.
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
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with _handshake(parameters, context, within_s) as connection:
        shown = connection.getpeercert(binary_form=True)
        _take_leave(connection)
        return shown or b""


@contextlib.contextmanager
def _handshake(
    parameters: Mapping[str, str], context: ssl.SSLContext, within_s: float
) -> Iterator[ssl.SSLSocket]:
    host = parameters.get("hostaddr") or parameters.get("host", "")
    port = int(parameters.get("port") or 5432)
    with (
        socket.create_connection((host, port), timeout=within_s) as plain,
        limit(plain.fileno(), within_s) as guard,
    ):
        try:
            with _encrypted(plain, parameters, context) as connection:
                yield connection
        except OSError:
            if guard.expired:
                raise TimeoutError from None
            raise


def _encrypted(plain: socket.socket, parameters: Mapping[str, str], context: ssl.SSLContext) -> ssl.SSLSocket:
    if parameters.get("sslnegotiation") == "direct":
        context.set_alpn_protocols(["postgresql"])
    else:
        _ask_for_tls(plain)
    return context.wrap_socket(plain, server_hostname=parameters.get("host") or None)


def _take_leave(connection: ssl.SSLSocket) -> None:
    """As TLS asks for: a server takes anything else for a reset connection, and logs it."""
    with contextlib.suppress(OSError):
        connection.unwrap()


class _NoTlsError(ConnectionError):
    """The server said so."""


def _ask_for_tls(plain: socket.socket) -> None:
    plain.sendall(_SSL_REQUEST)
    answer = plain.recv(1)
    if answer == b"N":
        raise _NoTlsError
    if answer != b"S":
        raise ConnectionError("no answer to the request for TLS")


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

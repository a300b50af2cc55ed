"""Until when the server's TLS certificate holds, as whoever connects to it is shown.

No statement is run: an own connection asks for TLS, looks at the certificate and ends before a login.
"""

from dataclasses import dataclass

from pgvigil.model.certificate import Certificate
from pgvigil.plugins import Collector, Family, LaneKind, Reader


@dataclass(frozen=True, slots=True)
class CertificateReading:
    """None where the server, or the way to it (a local socket), offers no TLS."""

    certificate: Certificate | None


def read(reader: Reader) -> CertificateReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    return CertificateReading(reader.certificate())


COLLECTOR = Collector(
    name="certificate",
    summary="Until when the server's TLS certificate holds.",
    lane=LaneKind.SERVER,
    interval_s=3600.0,
    timeout_s=3.0,
    queries=(),
    read=read,
    families=(
        Family(
            name="certificate_expiry_timestamp_seconds",
            help="When the server's TLS certificate expires.",
            rows=lambda reading: () if reading.certificate is None else (reading.certificate,),
            value=lambda certificate: certificate.end.timestamp(),
        ),
    ),
)

"""The server's certificate is about to expire."""

from typing import Any

from pydantic import Field, model_validator

from alerts.rules import _dormant
from collectors.certificate import CertificateReading
from pgvigil.model.certificate import Certificate
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, RuleParams
from pgvigil.units import DurationS, Percent, format_duration

_DAY_S = 86400.0


class CertificateExpiryParams(RuleParams):
    warning_s: DurationS | None = Field(
        30 * _DAY_S, alias="warning", description="A warning when it holds no longer than this."
    )
    critical_s: DurationS | None = Field(
        7 * _DAY_S, alias="critical", description="Critical when it holds no longer than this."
    )
    lifetime: Percent = Field(
        25.0,
        description="And only when less than this share of its lifetime is left: short-lived ones are renewed late.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> "CertificateExpiryParams":
        if self.warning_s is not None and self.critical_s is not None and self.critical_s > self.warning_s:
            raise ValueError("critical <= warning must hold: less time is worse")
        return self


def evaluate(
    reading: Snapshot[Any] | Delta[Any], params: CertificateExpiryParams, context: Context
) -> Judgement:
    rows: CertificateReading = reading.rows
    if rows.certificate is None:
        return Judgement((), Scope())
    left_s = (rows.certificate.end - context.now).total_seconds()
    level = _level(left_s, rows.certificate, params)
    if level is None:
        return Judgement((), Scope())
    return Judgement((_finding(rows.certificate, left_s, level, context),), Scope())


def _level(left_s: float, certificate: Certificate, params: CertificateExpiryParams) -> Level | None:
    share_s = (certificate.end - certificate.start).total_seconds() * params.lifetime / 100
    if left_s > max(0.0, share_s):
        return None
    if params.critical_s is not None and left_s <= params.critical_s:
        return Level.CRITICAL
    if params.warning_s is not None and left_s <= params.warning_s:
        return Level.WARNING
    return None


def _finding(certificate: Certificate, left_s: float, level: Level, context: Context) -> Finding:
    end = f"{certificate.end:%Y-%m-%d %H:%M} UTC"
    said = (
        f"expires in {format_duration(left_s)}, on {end}"
        if left_s > 0
        else f"expired {format_duration(-left_s)} ago, on {end}"
    )
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="certificate",
        level=level,
        summary=f"The server's TLS certificate {said}",
        value=left_s,
        evidence=Evidence(
            impact="Clients that verify it (sslmode verify-ca or verify-full, most drivers of managed services, standbys and"
            " replication among them) can no longer connect then; those that do not verify go on.",
            figures=(
                Figure("Valid from", f"{certificate.start:%Y-%m-%d %H:%M} UTC"),
                Figure("Valid to", end),
            ),
            cause="It was not renewed; or it was, and the server has not read the new file yet.",
        ),
        steps=_STEPS,
    )


_STEPS = (
    Step(
        "See which files the server uses, and whether a renewed one is there already.",
        "SELECT name, setting FROM pg_settings WHERE name IN ('ssl_cert_file', 'ssl_key_file', 'ssl_ca_file')",
    ),
    Step(
        "After the files are renewed: have them read. Sessions that stand are not touched, no restart is needed.",
        "SELECT pg_reload_conf()",
    ),
)

RULE = Rule(
    name="certificate_expiry",
    unit="s",
    falling=True,
    watches=("certificate",),
    params=CertificateExpiryParams,
    evaluate=evaluate,
    dormant=_dormant.no_certificate,
    doc=RuleDoc(
        meaning="The certificate that the server shows expires soon, or has. From then on whoever verifies it cannot"
        " connect: applications after their next restart, standbys after the next broken connection, pgvigil itself.",
        magnitude="",
        why_these_defaults="Thirty days are time to find out who renews it by hand; seven are the last working week."
        " Certificates that renew themselves are renewed at a third of their lifetime (cert-manager, certbot for 90"
        " days), so nothing is told before less than a quarter is left: of 90 days that is 22, of one day six hours.",
        evidence="From when to when it is valid. Only the server's own certificate is looked at, not its authority's.",
        what_to_do="Renew the files and reload. With a pooler or proxy in front it is theirs that is shown here.",
        how_to_look="""\
-- from the machine that runs pgvigil:
-- openssl s_client -starttls postgres -connect HOST:5432 </dev/null | openssl x509 -noout -dates
SELECT name, setting FROM pg_settings WHERE name IN ('ssl', 'ssl_cert_file')""",
    ),
)

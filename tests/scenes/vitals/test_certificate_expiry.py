"""certificate_expiry: told before it ends, worse as it does, and gone with the renewal."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from alerts.rules.certificate_expiry import CertificateExpiryParams
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from tests.support import watching
from tests.support.certificates import Authority, install, start_with_tls
from tests.support.polling import poll
from tests.support.servers import StartServer
from tests.support.vitals import Vitals

HERE = "127.0.0.1"


def seen(scene: Vitals, session: Session, level: Level | None) -> bool:
    scene.look(session, after_s=60)
    told = scene.firing.get("certificate")
    return (None if told is None else told.severity) is level


def test_it_is_told_before_the_end_and_gone_with_the_renewal(
    start_server: StartServer, tmp_path: Path, vitals: Callable[..., Vitals]
) -> None:
    authority = Authority(tmp_path / "ca")
    server = start_with_tls(start_server)
    year = timedelta(days=-365)
    scene = vitals({"certificate_expiry": {}})
    with closing(watching.watch(server.dsn())) as session:
        scene.look(session)
        assert scene.open == {}  # no TLS at all
        for days, level in ((20, Level.WARNING), (5, Level.CRITICAL), (-1, Level.CRITICAL), (90, None)):
            install(server, *authority.sign(HERE, start=year, end=timedelta(days=days)))
            poll(lambda level=level: seen(scene, session, level), 10, message=f"{days} days: {level}")
            if level is not None:
                said = f"expires in {days - 1}d" if days > 0 else "expired 1d"
                poll(lambda said=said: told(scene, session, said), 10, message=said)
        assert scene.open == {}


def told(scene: Vitals, session: Session, words: str) -> bool:
    scene.look(session, after_s=60)
    return f"The server's TLS certificate {words}" in scene.firing["certificate"].summary


def test_one_that_is_renewed_every_day_is_not_told_each_day(
    start_server: StartServer, tmp_path: Path, vitals: Callable[..., Vitals]
) -> None:
    authority = Authority(tmp_path / "ca")
    server = start_with_tls(start_server)
    scene = vitals({"certificate_expiry": {}})
    with closing(watching.watch(server.dsn())) as session:
        for hours, level in ((8, None), (5, Level.CRITICAL)):
            start = timedelta(hours=hours - 24)
            install(server, *authority.sign(HERE, start=start, end=timedelta(hours=hours)))
            poll(
                lambda level=level: (
                    scene.look(session)["certificate"].rows.certificate is not None
                    and seen(scene, session, level)
                ),
                10,
                message=f"{hours} hours: {level}",
            )


def test_less_time_is_worse() -> None:
    with pytest.raises(ValidationError, match="critical <= warning"):
        CertificateExpiryParams.model_validate({"warning": "7d", "critical": "30d"})

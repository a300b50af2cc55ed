"""Whatever keeps us from connecting is told apart, in time, and without the secrets."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest

from pgvigil.model.failure import Failure, FailureKind
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.limits import Limits
from pgvigil.postgres.passwords import PasswordCommand, PasswordFile
from pgvigil.postgres.session import connect
from pgvigil.scratch.server import ScratchServer
from tests.support.network import closed_port, full_listener, silent_listener
from tests.support.polling import poll
from tests.support.servers import Server, StartServer

QUICK = Limits(connect_s=0.5, connect_total_s=2.0, statement_s=1.0, margin_s=1.0)


def failure_of(dsn: Dsn | str, limits: Limits = QUICK, database: str | None = None) -> Failure:
    """How connecting fails; a generous bound says that it ended in time at all."""
    began_s = time.monotonic()
    with pytest.raises(ReadError) as caught:
        connect(Dsn.parse(dsn) if isinstance(dsn, str) else dsn, limits=limits, database=database).close()
    assert time.monotonic() - began_s < 20
    return caught.value.failure


def test_closed_port_is_refused_and_says_where() -> None:
    port = closed_port()
    failure = failure_of(f"host=127.0.0.1 port={port} dbname=x user=y password=geheim")
    assert failure.kind is FailureKind.REFUSED
    assert failure.message == f"127.0.0.1:{port}: Connection refused"


def test_missing_socket_is_refused(tmp_path: Path) -> None:
    assert failure_of(f"host={tmp_path} user=y").kind is FailureKind.REFUSED


def test_server_that_accepts_and_says_nothing_is_silent() -> None:
    with silent_listener() as port:
        failure = failure_of(f"host=127.0.0.1 port={port} user=y")
    assert failure == Failure(FailureKind.SILENT, f"127.0.0.1:{port}: no answer within 0.5s")


def test_network_that_drops_our_first_packet_is_silent() -> None:
    with full_listener() as port:
        assert failure_of(f"host=127.0.0.1 port={port} user=y").kind is FailureKind.SILENT


def test_fifty_silent_attempts_leave_no_thread_and_no_descriptor_behind() -> None:
    quick = Limits(connect_s=0.02)
    with silent_listener() as port:
        failure_of(f"host=127.0.0.1 port={port} user=y", quick)  # what is made once is made now
        before = (threading.active_count(), len(list(Path("/proc/self/fd").iterdir())))
        for _ in range(50):
            failure_of(f"host=127.0.0.1 port={port} user=y", quick)
        assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == before


def test_unknown_host_is_dns() -> None:
    failure = failure_of("host=no-such-host.invalid user=y")
    assert failure.kind is FailureKind.DNS
    assert "no-such-host.invalid" in failure.message


def test_the_first_host_that_answers_is_used(server: Server) -> None:
    """A dead and a silent host before it cost their deadlines and nothing else."""
    live = Dsn.parse(server.dsn()).parameters()
    with silent_listener() as silent:
        ports = f"{closed_port()},{silent},{live['port']}"
        hosts = f"127.0.0.1,127.0.0.1,{live['host']}"
        session = connect(Dsn.parse(f"host={hosts} port={ports} dbname=postgres user=postgres"), limits=QUICK)
        session.close()


def test_what_a_server_said_outranks_a_dead_host(server: Server) -> None:
    port = Dsn.parse(server.dsn()).parameters()["port"]
    dsn = f"host=127.0.0.1,127.0.0.1 port={port},{closed_port()} dbname=nowhere user=postgres"
    assert failure_of(dsn).kind is FailureKind.NO_DATABASE


def test_a_writable_server_counts_as_writable_though_our_session_is_not(server: Server) -> None:
    connect(Dsn.parse(server.dsn(target_session_attrs="read-write"))).close()
    failure_of(server.dsn(target_session_attrs="read-only"))


def test_missing_database_is_named(each_server: Server) -> None:
    failure = failure_of(each_server.dsn(), database="nowhere")
    assert failure.kind is FailureKind.NO_DATABASE
    assert '"nowhere"' in failure.message


def test_missing_role_is_authentication(each_server: Server) -> None:
    assert failure_of(each_server.dsn(user="nobody_knows")).kind is FailureKind.AUTHENTICATION


def test_database_without_the_privilege_is_a_privilege(each_server: Server) -> None:
    with each_server.connect() as admin:
        admin.execute("CREATE DATABASE closed_to_all")
        admin.execute("REVOKE CONNECT ON DATABASE closed_to_all FROM PUBLIC")
        admin.execute("CREATE ROLE stranger LOGIN")
        try:
            failure = failure_of(each_server.dsn("closed_to_all", user="stranger"))
        finally:
            admin.execute("DROP DATABASE closed_to_all")
            admin.execute("DROP ROLE stranger")
    assert failure.kind is FailureKind.PRIVILEGE


def test_tls_that_the_server_cannot_speak_is_tls(server: Server) -> None:
    failure = failure_of(server.dsn(sslmode="require"))
    assert failure.kind is FailureKind.TLS
    assert "SSL" in failure.message


# --- passwords ---


@pytest.fixture
def guarded(start_server: StartServer) -> ScratchServer:
    return start_server(password="erstes geheimnis")


def without_password(server: ScratchServer) -> str:
    return f"host=127.0.0.1 port={server.port} dbname=postgres user=postgres"


def test_wrong_password_is_authentication_and_is_not_shown(guarded: ScratchServer) -> None:
    failure = failure_of(without_password(guarded) + " password=falsches-geheimnis")
    assert failure.kind is FailureKind.AUTHENTICATION
    assert "password authentication failed" in failure.message
    assert "geheimnis" not in failure.message


def test_no_password_at_all_is_authentication(guarded: ScratchServer) -> None:
    assert failure_of(without_password(guarded) + " passfile=/dev/null").kind is FailureKind.AUTHENTICATION


def test_a_rotated_password_is_used_at_the_next_connect(guarded: ScratchServer, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("erstes geheimnis\n", encoding="utf-8")
    dsn = Dsn.parse(without_password(guarded), password=PasswordFile(secret))
    with closing(connect(dsn)) as session:
        with psycopg.connect(guarded.dsn(), autocommit=True) as admin:
            admin.execute("ALTER ROLE postgres PASSWORD 'zweites'")
        assert session.rediscover().role == "postgres"
    assert failure_of(dsn).kind is FailureKind.AUTHENTICATION
    secret.write_text("zweites\n", encoding="utf-8")
    connect(dsn).close()


def test_a_failing_password_command_is_authentication_and_says_which(guarded: ScratchServer) -> None:
    command = PasswordCommand.parse("sh -c 'echo geheim >&2; exit 3'")
    failure = failure_of(Dsn.parse(without_password(guarded), password=command))
    assert failure == Failure(FailureKind.AUTHENTICATION, "password_command sh failed with exit status 3")


def test_the_last_free_slots_are_not_ours(start_server: StartServer) -> None:
    """Both texts of a full server: to a plain role (slots are reserved) and to a superuser (none is left)."""
    full = start_server(
        settings={"max_connections": "6", "superuser_reserved_connections": "2", "max_wal_senders": "0"}
    )
    with ExitStack() as stack:

        def fill(user: str, count: int) -> None:
            for _ in range(count):
                stack.enter_context(psycopg.connect(full.dsn(user=user)))

        with psycopg.connect(full.dsn(), autocommit=True) as admin:
            admin.execute("CREATE ROLE plain LOGIN")
        fill("postgres", 4)
        assert failure_of(full.dsn(user="plain")).kind is FailureKind.TOO_MANY_CONNECTIONS
        fill("postgres", 2)
        failure = failure_of(full.dsn())
    assert failure.kind is FailureKind.TOO_MANY_CONNECTIONS
    assert not failure.kind.means_down


# --- servers between states ---


def test_stopped_server_is_silent_and_answers_again_when_it_goes_on(own_server: ScratchServer) -> None:
    own_server.sigstop()
    assert failure_of(own_server.dsn()).kind is FailureKind.SILENT
    own_server.sigcont()
    connect(Dsn.parse(own_server.dsn())).close()


def test_server_that_waits_for_its_last_client_is_shutting_down(own_server: ScratchServer) -> None:
    last = connect(Dsn.parse(own_server.dsn()))
    stopping = threading.Thread(target=own_server.stop, args=("smart",))
    stopping.start()

    def refused_kind() -> FailureKind | None:
        try:
            connect(Dsn.parse(own_server.dsn()), limits=QUICK).close()
        except ReadError as error:
            return error.failure.kind
        return None

    kind = poll(refused_kind, message="new connections are refused")
    last.close()
    stopping.join()
    assert kind is FailureKind.SHUTTING_DOWN
    assert failure_of(own_server.dsn()).kind is FailureKind.REFUSED


@pytest.fixture
def recovering(own_server: ScratchServer) -> Iterator[ScratchServer]:
    """A server whose recovery waits for its archive until the fixture ends."""
    go = own_server.data / "go"
    own_server.stop()
    with (own_server.data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write(
            f"wal_retrieve_retry_interval = 10\nrestore_command = 'until test -e {go}; do sleep 0.05; done; false'\n"
        )
    (own_server.data / "recovery.signal").touch()
    starting = threading.Thread(target=own_server.start_again)
    starting.start()
    yield own_server
    go.touch()
    starting.join()


def test_server_in_recovery_is_starting_up(recovering: ScratchServer) -> None:
    def answer() -> FailureKind | None:
        kind = failure_of(recovering.dsn()).kind
        return None if kind is FailureKind.REFUSED else kind  # not listening yet

    assert poll(answer) is FailureKind.STARTING_UP

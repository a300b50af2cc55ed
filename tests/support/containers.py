"""PostgreSQL in a container, through testcontainers."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

IMAGE = os.environ.get("PGVIGIL_TEST_IMAGE", "postgres:17")


def engine_problem() -> str:
    """Why no container can be started here; empty when one can."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if host.startswith("unix://") and not _listens(host.removeprefix("unix://")):
        return (
            f"no container engine listens on {host}"  # docker's client would leave a socket open behind this
        )
    import docker  # noqa: PLC0415 - needed only where containers are used

    try:
        engine = docker.from_env(timeout=120)
    except docker.errors.DockerException as error:
        return f"no container engine answers ({type(error).__name__})"
    with closing(engine):
        try:
            if not engine.images.list(name=IMAGE):
                engine.images.pull(*IMAGE.partition(":")[::2])
        except docker.errors.DockerException as error:
            return f"the image {IMAGE} is not here and cannot be pulled ({type(error).__name__})"
    return ""


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


@contextmanager
def postgres(what_to_do: str) -> Iterator[str]:
    """The DSN of a superuser on a server in a container; fails the test, saying what to do, where none can run."""
    problem = engine_problem()
    if problem:
        pytest.fail(f"{what_to_do} ({problem})", pytrace=False)
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - same

    container = PostgresContainer(IMAGE, driver=None)
    container.with_command("-c shared_preload_libraries=pg_stat_statements -c fsync=off")
    with container as started:
        yield started.get_connection_url()

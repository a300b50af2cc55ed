"""PostgreSQL in a container, through testcontainers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

IMAGE = os.environ.get("PGVIGIL_TEST_IMAGE", "postgres:17")


def engine_problem() -> str:
    """Why no container can be started here; empty when one can."""
    try:
        import docker  # noqa: PLC0415 - needed only where containers are used

        docker.from_env(timeout=5).ping()
    except Exception as error:
        return f"no container engine answers ({type(error).__name__})"
    return ""


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

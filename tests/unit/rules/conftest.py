"""Every finding that these tests make is read as a message too."""

from collections.abc import Iterator

import pytest

from tests.support.readable import read_well


@pytest.fixture(autouse=True)
def _findings_read_well() -> Iterator[None]:
    with read_well():
        yield

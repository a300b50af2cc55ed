"""Every finding that these tests make is read as a message too."""

from collections.abc import Iterator

import pytest

from tests.support.readable import complaints, listening


@pytest.fixture(autouse=True)
def _findings_read_well() -> Iterator[None]:
    wrong: list[str] = []
    with listening(lambda finding: wrong.extend(complaints(finding))):
        yield
    assert not wrong

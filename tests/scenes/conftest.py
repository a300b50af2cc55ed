"""What several scenes begin with."""

from pathlib import Path

import pytest

from tests.support.doctors import Doctor


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    return Doctor(tmp_path)

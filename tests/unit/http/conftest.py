"""What all tests of the HTTP port share."""

import pytest

from daemon.http import patience


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong tokens are held back for a moment only; that they are is a test of its own."""
    monkeypatch.setattr(patience, "HELD_S", 0.01)

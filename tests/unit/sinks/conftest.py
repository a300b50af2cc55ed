from collections.abc import Iterator

import pytest

from daemon.demo.fake_slack import FakeSlack, loopback_past_proxies


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    """A running fake Slack with the channel #db-oncall."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    loopback_past_proxies()
    with FakeSlack() as running:
        yield running

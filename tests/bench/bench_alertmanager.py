"""The same faults of delivery against a real Alertmanager and against pgvigil, side by side.

    python -m tests.bench.bench_alertmanager

Alertmanager is Debian's (`apt-get install prometheus-alertmanager`), on loopback with storage of its own, with a Slack
webhook and send_resolved; an alert is posted to its API and ended there. pgvigil is a process of its own that watches a
real server and tells the demo's Slack; its condition is a session that is idle in a transaction, as critical. What
people saw is counted: how often that it fires, and how often that it is over. An edit of the first message is no second
one. The latency of Alertmanager is from the POST of the alert (group_wait 0), that of pgvigil from the reading.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Protocol

from daemon.cli import main
from daemon.demo import fake_slack_faults as faults
from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.scratch import binaries
from pgvigil.scratch.server import ScratchServer
from tests.bench.figures import Figure, hold, machine
from tests.support import oncall
from tests.support.daemons import RunningDaemon, running_daemon
from tests.support.locks import idle_in_transaction
from tests.support.network import closed_port
from tests.support.polling import poll
from tests.support.receiver import Receiver, Say, receiving

PROGRAM = "prometheus-alertmanager"
GROUP_INTERVAL_S = 2.0
QUIET_S = 3 * GROUP_INTERVAL_S  # after which nothing more comes
RULE = "idle_in_transaction"


class Seen(NamedTuple):
    """What people were told of one fault."""

    fires: int
    over: int

    def __str__(self) -> str:
        return f"fires {self.fires}x, resolved {self.over}x"

    @property
    def lost(self) -> int:
        return (self.fires == 0 and self.over == 0) + (self.over == 0)

    @property
    def twice(self) -> int:
        return max(0, self.fires - 1) + max(0, self.over - 1)


class Side(Protocol):
    """One who tells people. `begin` and `end` are of the condition; all wait until the side has seen it."""

    def begin(self) -> None: ...
    def end(self) -> None: ...
    def told(self) -> None:
        """Wait until people were told that it fires."""

    def silence(self) -> None: ...
    def unsilence(self) -> None: ...
    def restart(self, how: signal.Signals, meanwhile: Callable[[], None]) -> None: ...
    def again(self) -> None:
        """Who watches says once more that it fires."""

    def refuse_next(self) -> None:
        """The next message is answered with 429."""

    def refused(self) -> None: ...
    def seen(self) -> Seen: ...


def _nothing() -> None:
    pass


def silenced(side: Side) -> None:
    side.begin()
    side.told()
    side.silence()
    side.end()
    time.sleep(QUIET_S)
    side.unsilence()


def killed_and_fires_on(side: Side) -> None:
    side.begin()
    side.told()
    side.restart(signal.SIGKILL, _nothing)
    side.again()
    time.sleep(QUIET_S)
    side.end()


def killed_and_over(side: Side) -> None:
    side.begin()
    side.told()
    side.restart(signal.SIGKILL, side.end)


def stopped_and_over(side: Side) -> None:
    side.begin()
    side.told()
    side.restart(signal.SIGTERM, side.end)


def refused_and_over(side: Side) -> None:
    side.refuse_next()
    side.begin()
    side.refused()
    side.end()


FAULTS: dict[str, Callable[[Side], None]] = {
    "fires, is silenced, resolves, silence removed": silenced,
    "SIGKILL after it was told, goes on firing": killed_and_fires_on,
    "SIGKILL after it was told, is over": killed_and_over,
    "clean stop after it was told, is over": stopped_and_over,
    "429 to the first message, is over before it can be repeated": refused_and_over,
}


class Alertmanager:
    def __init__(self, place: Path, receiver: Receiver) -> None:
        self._place = place
        self._receiver = receiver
        self._port = closed_port()
        self._posted_at = 0.0
        self._silence = ""
        self.latencies_s: list[float] = []
        (place / "am.yml").write_text(_CONFIG.format(url=f"{receiver.url}/hook", interval=GROUP_INTERVAL_S))
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                PROGRAM,
                f"--config.file={self._place / 'am.yml'}",
                f"--storage.path={self._place / 'data'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
                "--cluster.listen-address=",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        poll(self._ready, 15, message="Alertmanager is ready")
        return process

    def _ready(self) -> bool:
        try:
            return self._call("GET", "/-/ready") is not None
        except OSError:
            return False

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
        return json.loads(text) if text[:1] in ("{", "[") else text

    def _post(self, ends_at: datetime) -> None:
        began = datetime.now(UTC) - timedelta(seconds=30)
        self._posted_at = time.monotonic()
        alert = {"labels": {"alertname": RULE}, "startsAt": began.isoformat(), "endsAt": ends_at.isoformat()}
        self._call("POST", "/api/v2/alerts", [alert])

    def begin(self) -> None:
        self._post(datetime.now(UTC) + timedelta(minutes=10))

    again = begin

    def end(self) -> None:
        self._post(datetime.now(UTC))

    def told(self) -> None:
        poll(lambda: self.seen().fires, 20, message="Alertmanager told it", interval_s=0.005)
        self.latencies_s.append(time.monotonic() - self._posted_at)

    def silence(self) -> None:
        now = datetime.now(UTC)
        asked = {
            "matchers": [{"name": "alertname", "value": RULE, "isRegex": False}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "bench",
            "comment": "bench",
        }
        self._silence = self._call("POST", "/api/v2/silences", asked)["silenceID"]

    def unsilence(self) -> None:
        self._call("DELETE", f"/api/v2/silence/{self._silence}")

    def restart(self, how: signal.Signals, meanwhile: Callable[[], None]) -> None:
        """It keeps no account while it is away: who watches tells it afterwards."""
        self._process.send_signal(how)
        self._process.wait(20)
        self._process = self._started()
        meanwhile()

    def refuse_next(self) -> None:
        self._receiver.faults.append(Say(429, headers={"Retry-After": "1"}))

    def refused(self) -> None:
        poll(lambda: self._receiver.asked, 20, message="it was refused")
        self._receiver.asked.clear()

    def seen(self) -> Seen:
        texts = [asked.body.decode() for asked in list(self._receiver.asked)]
        return Seen(sum("[FIRING" in text for text in texts), sum("[RESOLVED]" in text for text in texts))

    def close(self) -> None:
        self._process.kill()
        self._process.wait(20)


_CONFIG = """
route: {{receiver: slack, group_wait: 0s, group_interval: {interval:.0f}s, repeat_interval: 1h}}
receivers:
  - name: slack
    slack_configs:
      - {{api_url: "{url}", channel: "#db-oncall", send_resolved: true}}
"""


class Pgvigil:
    def __init__(self, server: ScratchServer, slack: FakeSlack, daemon: RunningDaemon) -> None:
        self._server = server
        self._slack = slack
        self._daemon = daemon
        self._condition = ExitStack()
        self.latencies_s: list[float] = []

    def begin(self) -> None:
        self._condition.enter_context(idle_in_transaction(self._server.dsn(), "SELECT 1"))

    def again(self) -> None:
        """It looks for itself."""

    def end(self) -> None:
        self._condition.close()
        if self._daemon.process.poll() is None:
            self._daemon.wait_incident(RULE, "resolved")

    def told(self) -> None:
        poll(self._slack.roots, 20, message="pgvigil told it")
        waited = poll(lambda: self._daemon.events("delivered"), 10, message="and wrote it down")
        self.latencies_s.append(float(waited[0]["waited_s"]))

    def silence(self) -> None:
        self._command("silences", "add", "--match", f"rule={RULE}", "--reason", "bench", "--for", "1h")

    def unsilence(self) -> None:
        self._command("silences", "expire", "SIL-1")

    def _command(self, *words: str) -> None:
        done = main([*words, "--url", self._daemon.url])
        if done != 0:
            raise RuntimeError(f"pgvigil {' '.join(words)} ended with {done}")

    def restart(self, how: signal.Signals, meanwhile: Callable[[], None]) -> None:
        self._daemon.process.send_signal(how)
        self._daemon.process.wait(30)
        meanwhile()
        self._daemon.start_again()

    def refuse_next(self) -> None:
        self._slack.inject("chat.postMessage", faults.rate_limited(4))

    def refused(self) -> None:
        poll(lambda: self._daemon.events("delivery_failed"), 20, message="it was refused")

    def seen(self) -> Seen:
        over = [root for root in self._slack.roots() if "Resolved" in as_text(root)]
        fires = len(self._slack.roots())
        heard = [
            each for root in over for each in self._slack.replies(root["ts"]) if "Resolved" in as_text(each)
        ]
        return Seen(fires, max(len(over), len(heard)))


_RULE = f'[rules.{RULE}.overrides.shop]\ncritical = "1s"\n'


@contextmanager
def alertmanager() -> Iterator[Alertmanager]:
    with tempfile.TemporaryDirectory() as place, receiving(Say(200, b"ok")) as receiver:
        side = Alertmanager(Path(place), receiver)
        try:
            yield side
        finally:
            side.close()


@contextmanager
def pgvigil(server: ScratchServer) -> Iterator[Pgvigil]:
    with tempfile.TemporaryDirectory() as place, FakeSlack() as slack:
        config = (
            'log_level = "debug"\ndigest_after = "1h"\n'
            + oncall.idle_sessions(server)  # type: ignore[arg-type]  # all that it asks for is `dsn`
            + _RULE
            + oncall.sink(slack, Path(place))
            + oncall.ana("read", "act", "silence")
        )
        os.environ["PGVIGIL_TOKEN"] = oncall.TOKEN  # of the commands that silence
        with running_daemon(Path(place), config) as daemon:
            side = Pgvigil(server, slack, daemon)
            yield side
            side.end()


def staged(side: Side, fault: Callable[[Side], None]) -> Seen:
    fault(side)
    time.sleep(QUIET_S)
    return side.seen()


def figures() -> list[Figure]:
    if shutil.which(PROGRAM) is None:
        print(f"no {PROGRAM} (Debian: apt-get install {PROGRAM})")
        return []
    theirs: dict[str, Seen] = {}
    ours: dict[str, Seen] = {}
    their_s: list[float] = []
    our_s: list[float] = []
    with ScratchServer.start(binaries.best()) as server:
        for what, fault in FAULTS.items():
            with alertmanager() as side:
                theirs[what] = staged(side, fault)
                their_s += side.latencies_s
            with pgvigil(server) as us:
                ours[what] = staged(us, fault)
                our_s += us.latencies_s
    print("\n| fault | Alertmanager | pgvigil |\n|---|---|---|")
    for what in FAULTS:
        print(f"| {what} | {theirs[what]} | {ours[what]} |")
    return [
        Figure("Alertmanager: what people never heard", sum(each.lost for each in theirs.values())),
        Figure("Alertmanager: heard twice", sum(each.twice for each in theirs.values())),
        Figure("Alertmanager: POST of the alert to the message, median", median(their_s), unit="s"),
        Figure("pgvigil: what people never heard", sum(each.lost for each in ours.values()), 0),
        Figure("pgvigil: heard twice", sum(each.twice for each in ours.values()), 0),
        Figure("pgvigil: reading to the message, median", median(our_s), unit="s"),
    ]


if __name__ == "__main__":
    print(machine())
    sys.exit(hold(figures()))

"""Reports to whoever waits outside: a Pushgateway, and a dead man's switch."""

from daemon.clock import Ticker
from daemon.dead_man import DeadMansSwitch
from daemon.lanes.pool import Once, Pool
from daemon.metrics.exposition import Exposition
from daemon.metrics.push import Pusher
from daemon.settings.settings import Settings

PUSH_S = 15.0


class Reporting:
    """For one thread: goes over to new addresses with the configuration."""

    def __init__(self, exposition: Exposition, switch: DeadMansSwitch, ticker: Ticker, pool: Pool) -> None:
        self._exposition = exposition
        self._switch = switch
        self._ticker = ticker
        self._pool = pool
        self._asked: tuple[str, str, float] | None = None
        self._planned: set[str] = set()

    def follow(self, settings: Settings) -> None:
        """Report to the addresses of `settings` from now on; what has not changed goes on in its time."""
        daemon = settings.daemon
        asked = settings.metrics.push_url.reveal(), daemon.heartbeat_url.reveal(), daemon.heartbeat_every_s
        if asked == self._asked:
            return
        for name in self._planned:
            self._ticker.cancel(name)
        self._asked = asked
        push_url, self._switch.url, every_s = asked
        reports = {
            "push": (push_url, PUSH_S, Pusher(push_url, self._exposition).push),
            "sign of life": (self._switch.url, every_s, self._switch.report),
        }
        self._planned = {name for name, (url, _, _) in reports.items() if url}
        for name in self._planned:
            _, period_s, report = reports[name]
            self._ticker.every(name, period_s, Once(self._pool, report).submit)

"""Who may come in by HTTP, and by which names, as the configuration says."""

from daemon.http.auth import Keys
from daemon.http.hosts import Hosts
from daemon.settings.sections import DaemonSettings
from daemon.settings.settings import Settings


def keys_of(settings: Settings) -> Keys:
    """Raises OSError."""
    return Keys(settings.daemon.api_token(), tuple(one.holder() for one in settings.tokens))


def hosts_of(settings: DaemonSettings) -> Hosts:
    return Hosts(
        listen=settings.listen.host,
        public_url=settings.public_url.reveal(),
        allowed=settings.allowed_hosts,
    )

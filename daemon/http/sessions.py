"""Who is logged in at the page. Sessions are kept here, in memory, and only by a hash of what the browser's cookie holds."""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from starlette.requests import Request

from daemon.http.tokens import Holder
from pgvigil.units import format_duration

LIFE_S = 12 * 3600.0  # a shift; whatever was done in between
MOST = 500
MOST_OF_ONE = 20  # of one token: a program that logs in over and over ends no session of others
MOST_NOTICES = 8  # of one session: several tabs may each have one to show
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Notice:
    """What became of something that somebody did, shown on the page that follows."""

    text: str
    done: bool


@dataclass(slots=True)
class Session:
    """`form` stands in each form of this session, and in no cookie. `ended` says why it ended, once it has."""

    key: str
    sha256: str  # of the token that it began with
    ends_mono_s: float
    form: str = field(default_factory=lambda: secrets.token_urlsafe(_BYTES))
    ended: str = ""
    notices: OrderedDict[str, Notice] = field(default_factory=OrderedDict)
    latest: str = ""  # the name of the newest notice


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who is logged in, with what the token may as the configuration says now."""

    session: Session
    holder: Holder

    def sent(self, form: str) -> bool:
        """Whether a form with that in it was one of this session."""
        return hmac.compare_digest(form.encode(), self.session.form.encode())


@dataclass(frozen=True, slots=True)
class Ended:
    """A browser shows a session that is none any more."""

    why: str


def cookie_name(host: str) -> str:
    """Browsers tell hosts apart, and not their ports: two tunnels to this machine are two pgvigils."""
    port = host.rpartition(":")[2]
    return f"pgvigil_session_{port}" if port.isdecimal() else "pgvigil_session"


def cookie_of(request: Request) -> str:
    """What the cookie holds; "" where there is none."""
    return request.cookies.get(cookie_name(request.headers.get("host", "")), "")


class Sessions:
    """Thread-safe. A restart ends all of them; so nothing that opens a session is ever on a disk."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._by_key: OrderedDict[str, Session] = OrderedDict()

    def begin(self, holder: Holder) -> str:
        """What the cookie is to hold: known to nobody else, and never given again."""
        cookie = secrets.token_urlsafe(_BYTES)
        session = Session(_key(cookie), holder.sha256, self._now_s() + LIFE_S)
        with self._lock:
            same = [one.key for one in self._by_key.values() if one.sha256 == holder.sha256]
            for key in same[: len(same) - MOST_OF_ONE + 1]:
                del self._by_key[key]
            while len(self._by_key) >= MOST:
                self._by_key.popitem(last=False)
            self._by_key[session.key] = session
        return cookie

    def of(self, cookie: str, holders: Iterable[Holder]) -> Viewer | Ended:
        """Whose session it is, where its token is still one of `holders`."""
        with self._lock:
            session = self._by_key.get(_key(cookie))
            if session is None:
                return Ended(
                    "pgvigil does not know your session any more: it was restarted, or you logged out"
                )
            holder = next((one for one in holders if one.sha256 == session.sha256), None)
            session.ended = session.ended or self._over(session, holder)
            if holder is None or session.ended:
                return Ended(session.ended)
            return Viewer(session, holder)

    def _over(self, session: Session, holder: Holder | None) -> str:
        if holder is None:
            return "your session ended, because its token is no longer in the configuration"
        if self._now_s() >= session.ends_mono_s:
            return f"your session ended, as each does after {format_duration(LIFE_S)}"
        return ""

    def end(self, cookie: str) -> None:
        with self._lock:
            self._by_key.pop(_key(cookie), None)

    def say(self, session: Session, notice: Notice) -> str:
        """A name by which the next page finds it."""
        name = secrets.token_urlsafe(9)
        with self._lock:
            session.notices[name] = notice
            session.latest = name
            if len(session.notices) > MOST_NOTICES:
                session.notices.popitem(last=False)
        return name


def _key(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "surrogateescape")).hexdigest()

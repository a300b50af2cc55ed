"""What the demo shows on the terminal: its own story, and Slack's messages as they come in."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from daemon.demo.fake_slack_text import as_text

_COLOURS = {"🔴": "red", "🟠": "yellow", "🟡": "yellow", "🔵": "blue", "✅": "green"}


class Screen:
    """Thread-safe. Messages hold text from a database, so nothing here is read as markup."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began_s = time.monotonic()
        self._lock = threading.Lock()
        self._roots: dict[str, str] = {}  # ts -> the message as it stands now

    def say(self, text: str) -> None:
        """One line of the demo itself."""
        with self._lock:
            self._console.print(Text(f"{self._clock()}  {text}", style="bold cyan"))

    def links(self, links: Mapping[str, str]) -> None:
        width = max(map(len, links))
        for name, url in links.items():
            self._console.print(Text(f"       {name:<{width}}  {url}", style="cyan"), soft_wrap=True)

    def slack(self, what: str, message: Mapping[str, Any]) -> None:
        """A listener of the fake Slack: roots and replies are shown, edits where a reply calls for a look."""
        text = as_text(message)
        with self._lock:
            parent = message.get("thread_ts")
            if what == "edited":
                self._roots[message["ts"]] = text
            elif what == "posted" and parent is None:
                self._roots[message["ts"]] = text
                self._panel(text, "posted")
            elif what == "posted":
                self._reply(text, self._roots.get(str(parent), ""))

    def last_line(self, text: str) -> None:
        """For programs as for people: no colour, nothing after it."""
        self._console.print(Text(text), soft_wrap=True)

    def _reply(self, text: str, root: str) -> None:
        """A resolve speaks for itself; what got worse is shown with its diagnosis as it is now."""
        if root and not root.startswith("✅"):
            self._panel(root, "edited")
        self._panel(text, "in the thread", colour_of=root)

    def _panel(self, text: str, how: str, *, colour_of: str = "") -> None:
        colour = _COLOURS.get((colour_of or text)[:1], "white")
        title = Text(f"{self._clock()}  Slack #db-oncall, {how}")
        self._console.print(Panel(Text(text), title=title, title_align="left", border_style=colour))

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began_s), 60)
        return f"{minutes:02d}:{seconds:02d}"

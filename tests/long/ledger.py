"""What people on Slack were told, fault by fault, beside what was staged."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text

Episode = tuple[str, str]  # rule, target


@dataclass(slots=True)
class Told:
    """How often each was told to have begun and to have ended; `duplicates` are second messages about one incident."""

    begun: Counter[Episode] = field(default_factory=Counter)
    ended: Counter[Episode] = field(default_factory=Counter)
    duplicates: int = 0

    def unlike(self, staged: Counter[Episode]) -> tuple[int, int]:
        """How many beginnings, and how many ends, were told too often or not at all."""
        return _apart(self.begun, staged), _apart(self.ended, staged)

    def differences(self, staged: Counter[Episode]) -> Iterator[str]:
        for episode in sorted(staged.keys() | self.begun.keys() | self.ended.keys()):
            counts = (staged[episode], self.begun[episode], self.ended[episode])
            if len(set(counts)) > 1:
                yield "{} of {}: staged {}, begun {}, ended {}".format(*episode, *counts)


def _apart(one: Counter[Episode], other: Counter[Episode]) -> int:
    return (one - other).total() + (other - one).total()


def told(slack: FakeSlack, incidents: Sequence[dict[str, Any]]) -> Told:
    """By all messages in the channel; `incidents` are those of the API."""
    episodes = {one["id"]: (one["rule"], one["target"]) for one in incidents}
    found = Told()
    seen: set[str] = set()
    for message in slack.messages():
        name = f"INC-{message['metadata']['event_payload']['incident']}"
        episode = episodes[name]
        text = as_text(message)
        if "thread_ts" not in message:
            found.duplicates += name in seen
            seen.add(name)
            found.begun[episode] += 1
        elif "Reopened" in text:
            found.begun[episode] += 1
        elif "Resolved" in text:
            found.ended[episode] += 1
    return found

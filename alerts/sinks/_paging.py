"""What calls people and knows an incident by a key of ours: doing a thing twice is doing it once.

So nothing is ever in doubt: a call without an answer is repeated. New figures alone are not sent, because such a
destination would only add them to a log.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from alerts.sinks._account import identity
from alerts.sinks._blind import Blind
from pgvigil.model.delivery import Act, Delivery
from pgvigil.model.incident import Incident, State


class Page(StrEnum):
    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class PagingSink(Blind, ABC):
    """A handle is the key, and what was said last."""

    can_edit = True

    def perform(
        self,
        act: Act,
        incident: Incident,
        delivery: Delivery,
        *,
        possible_duplicate_of: datetime | None = None,  # noqa: ARG002 - there are no duplicates
    ) -> Mapping[str, str]:
        """See `Sink.perform`."""
        key = delivery.remote.get("key") or identity(incident)
        page = page_for(incident)
        said = f"{page} {incident.severity.word}"
        if delivery.remote.get("said") != said:
            self.send(page, key, act, incident, delivery)
        return {"key": key, "said": said}

    @abstractmethod
    def send(self, page: Page, key: str, act: Act, incident: Incident, delivery: Delivery) -> None:
        """Say it once; raises DeliveryError, never an ambiguous one."""


def page_for(incident: Incident) -> Page:
    """Whoever has acknowledged or silenced it here has taken it there too: nobody else is to be called.

    So it is when another incident explains it: that one calls people.
    """
    if incident.state is State.RESOLVED:
        return Page.RESOLVE
    return Page.ACKNOWLEDGE if incident.marks else Page.TRIGGER

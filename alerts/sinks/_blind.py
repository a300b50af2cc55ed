"""What sinks have in common that cannot look at what they sent."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from pgvigil.model.delivery import Act, CannotLookError, Delivery, DeliveryError, DeliveryFailure, Recalled
from pgvigil.model.digest import Digest
from pgvigil.model.incident import Incident
from pgvigil.problems import Problem

_BLIND = "the destination shows nothing of what was sent"


class Blind:
    """Neither looks nor replies, and takes no digest; see `Sink` for what each is asked."""

    can_edit = False
    can_reply = False
    digest_lines = 0
    fallbacks: Mapping[str, int] = MappingProxyType({})

    def find(self, act: Act, incident: Incident, delivery: Delivery) -> Mapping[str, str] | None:  # noqa: ARG002 - the protocol names them
        """See `Sink.find`: there is no way."""
        raise CannotLookError(_BLIND)

    def recall(self, act: Act, incident: Incident, delivery: Delivery) -> Recalled | None:  # noqa: ARG002 - the protocol names them
        """See `Sink.recall`: there is no way."""
        raise CannotLookError(_BLIND)

    def find_digest(self, digest: Digest, told_at: datetime) -> Mapping[str, str] | None:  # noqa: ARG002 - the protocol names them
        """See `Sink.find_digest`: there is no way."""
        raise CannotLookError(_BLIND)

    def tell(self, digest: Digest, *, possible_duplicate_of: datetime | None = None) -> Mapping[str, str]:  # noqa: ARG002 - the protocol names them
        """See `Sink.tell`: each incident is said singly."""
        raise DeliveryError(DeliveryFailure.REJECTED, "the destination takes no digests")

    def retell(self, digest: Digest, remote: Mapping[str, str]) -> None:  # noqa: ARG002 - the protocol names them
        """See `Sink.retell`: nothing that was told can be edited."""
        raise DeliveryError(DeliveryFailure.REJECTED, "the destination takes no digests that are edited")

    def check(self) -> tuple[Problem, ...]:
        """See `Sink.check`: nothing can be seen without sending."""
        return ()

    def close(self) -> None:
        """Nothing is kept open between calls."""

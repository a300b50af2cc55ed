"""What goes wrong with throw-away servers."""


class ScratchError(Exception):
    """Base of the errors raised here; the message says what to do."""


class NoBinariesError(ScratchError):
    """No usable PostgreSQL server programs were found."""


class NotStartedError(ScratchError):
    """The server did not come up; the message ends with the last lines of its log."""


class PortTakenError(NotStartedError):
    """Somebody else bound the chosen port first."""

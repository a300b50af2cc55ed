"""A secret that lives in a file, may be rotated there, and is never shown."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pgvigil.model.delivery import DeliveryError, DeliveryFailure
from pgvigil.problems import Problem, SetupError

T = TypeVar("T")


class SecretFile:
    """The first line of `path`. Reading raises SetupError; what it holds is in no repr, log or error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._value = self._read()

    def __repr__(self) -> str:
        return f"SecretFile({str(self._path)!r})"

    @property
    def value(self) -> str:
        return self._value

    def renewed(self) -> bool:
        """Reads the file again; True when it now holds something else. A file that cannot be read changes nothing."""
        try:
            value = self._read()
        except SetupError:
            return False
        changed, self._value = value != self._value, value
        return changed

    def _read(self) -> str:
        try:
            lines = self._path.read_text(encoding="utf-8").strip().splitlines()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise SetupError(_problem(f"The secret file {self._path} cannot be read: {reason}.")) from None
        if not lines:
            raise SetupError(_problem(f"The secret file {self._path} is empty."))
        return lines[0].strip()


def once_more(send: Callable[[], T], *secrets: SecretFile | None) -> T:
    """What `send` gives; it is called again, once, when it was refused and a secret has been rotated since."""
    try:
        return send()
    except DeliveryError as error:
        renewed = [secret.renewed() for secret in secrets if secret is not None]
        if error.kind is not DeliveryFailure.MISCONFIGURED or not any(renewed):
            raise
    return send()


def _problem(sentence: str) -> Problem:
    return Problem(
        slug="sink-secret-file",
        sentence=sentence,
        fix="Put the secret there, readable by the user that pgvigil runs as.",
    )

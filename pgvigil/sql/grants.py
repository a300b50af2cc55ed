"""What to grant when the server said no."""

import re

from pgvigil.sql.identifiers import quote_identifier

_DENIED = re.compile(r"permission denied for schema (.+)", re.IGNORECASE)


def grant_after(message: str, role: str) -> str | None:
    """The GRANT that mends an error of the server, where its words name the object well enough.

    They do for schemas only: of a view or a function the error says neither the schema nor the arguments.
    None as well for a server that speaks another language.
    """
    denied = _DENIED.fullmatch(message.strip())
    if denied is None:
        return None
    return f"GRANT USAGE ON SCHEMA {quote_identifier(denied[1])} TO {quote_identifier(role)}"

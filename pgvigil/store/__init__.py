"""What pgvigil remembers: one file per family of tables. It speaks nouns; SQLAlchemy stays in here."""

from pgvigil.store.errors import StoreError
from pgvigil.store.store import Store

__all__ = ["Store", "StoreError"]

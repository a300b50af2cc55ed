"""The vocabulary of pgvigil, and the ground that everything else stands on."""

__version__ = "0.1.0"

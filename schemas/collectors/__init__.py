"""Collectors of facts of structure."""

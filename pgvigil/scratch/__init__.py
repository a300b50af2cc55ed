"""Throw-away PostgreSQL servers: for the demo, tests and drills. Nothing here talks SQL."""

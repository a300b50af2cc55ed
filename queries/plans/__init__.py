"""Plans of statements: read from EXPLAIN (FORMAT JSON), measured, fingerprinted, written as text."""

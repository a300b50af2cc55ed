"""What pgvigil answers over HTTP: metrics, health, a JSON API and a page."""

"""What people must change so that pgvigil sees everything and reaches everyone. Pure: what was read -> Problems."""

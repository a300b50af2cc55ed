"""Facts of structure: what a database is made of, and checks of its design."""

"""Many targets: databases of one real server, and fakes that answer as it did."""

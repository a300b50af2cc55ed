"""One pass over targets: read, judged, told, and forgotten. No store, no sinks, nothing is announced."""

"""The nouns, one family a file: frozen, standard library only, never mixed (see docs/decisions/0001)."""

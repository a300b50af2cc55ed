"""The only package that imports psycopg."""

"""The only package that imports the SQL parser, late: text of statements, without the data in them."""

"""A year of signals in a database, and mistakes in real ones: what it takes, what is found."""

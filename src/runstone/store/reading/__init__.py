"""Reading by noun: each part of a `Reader` reads one kind of record."""

"""How products were made: the records beside them, and what these are compared with."""

"""Files in an object store: what is fetched from there, and what is uploaded."""

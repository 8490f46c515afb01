"""Two products compared: what differs, by how much, and why."""

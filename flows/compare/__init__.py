"""The command ``python -m flows.compare``: what differs between two products, and why."""

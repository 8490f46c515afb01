"""What a step is told: its parameters, their specification, and where each value came from."""

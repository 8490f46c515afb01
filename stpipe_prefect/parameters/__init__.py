"""The parameters of a step, their specification, and where each value came from."""

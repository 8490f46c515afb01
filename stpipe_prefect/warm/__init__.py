"""The warm process: it has imported all that is heavy, and forks what runs with it."""

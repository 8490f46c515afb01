"""What a run leaves behind: its products, whole or not at all."""

"""What belongs to running processes, and knows nothing of Prefect."""

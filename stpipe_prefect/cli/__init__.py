"""The command ``python -m stpipe_prefect``, and how commands end."""

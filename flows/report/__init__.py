"""The command ``python -m flows.report``: one page about all that is in a folder of products."""

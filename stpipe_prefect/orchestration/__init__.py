"""The adapter to Prefect: Steps as tasks, Pipelines as flows. Only this folder imports prefect."""

import os

# Prefect reports its use to its makers unless told not to, and decides when it is imported.
os.environ.setdefault("DO_NOT_TRACK", "1")

"""Runs the flow run of a deployment, in the warm process if there is one.

``python -m stpipe_prefect.orchestration.engine`` stands in the job template of a work pool where
Prefect has ``python -m prefect.engine``, which it does the same as.
"""

import sys

from ..warm.client import answer


def main() -> int:
    """Run the flow run that the environment names."""
    return answer(f"{__package__}.engine:run")


def run() -> int:
    """Run it in this process."""
    import runpy

    from .workarounds import leave_heartbeats

    leave_heartbeats()
    runpy.run_module("prefect.engine", run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())

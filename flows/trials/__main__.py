"""``python -m flows.trials``."""

import sys

from stpipe_prefect.warm.client import answer


def main() -> int:
    """Run the command on what the shell gave it."""
    return answer(f"{__package__}.__main__:run")


def run() -> int:
    """Run the command in this process."""
    from .main import main as run_command

    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

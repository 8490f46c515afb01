"""``python -m flows.romancal``."""

import sys

from stpipe_prefect.warm.client import answer


def main() -> int:
    """Run the command on what the shell gave it."""
    return answer(f"{__package__}.__main__:run", "romancal")


def run() -> int:
    """Run the command in this process."""
    from flows.calibrate import command

    from .mission import ROMAN

    return command.main(ROMAN, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

"""``python -m flows.romancal``."""

import sys

from flows.calibrate import command

from .mission import ROMAN


def main() -> int:
    """Run the command on what the shell gave it."""
    return command.main(ROMAN, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

"""``python -m flows.calwebb``."""

import sys

from flows.calibrate import command

from .mission import JWST


def main() -> int:
    """Run the command on what the shell gave it."""
    return command.main(JWST, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

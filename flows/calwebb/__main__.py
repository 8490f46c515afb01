"""``python -m flows.calwebb``."""

import sys

from stpipe_prefect.warm.client import answer


def main() -> int:
    """Run the command on what the shell gave it."""
    return answer(f"{__package__}.__main__:run", "jwst")


def run() -> int:
    """Run the command in this process."""
    from flows.calibrate import command

    from .mission import JWST

    return command.main(JWST, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

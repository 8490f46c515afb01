"""``python -m flows.romancal``."""

import sys

from flows.calibrate.command import main

from .mission import ROMAN

if __name__ == "__main__":
    sys.exit(main(ROMAN, sys.argv[1:]))

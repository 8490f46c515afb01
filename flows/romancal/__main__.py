"""``python -m flows.romancal``."""

import sys

from flows.calibrate.command import interrupt_again, main

from .mission import ROMAN

if __name__ == "__main__":
    sys.unraisablehook = interrupt_again
    sys.exit(main(ROMAN, sys.argv[1:]))

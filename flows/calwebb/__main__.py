"""``python -m flows.calwebb``."""

import sys

from flows.calibrate.command import interrupt_again, main

from .mission import JWST

if __name__ == "__main__":
    sys.unraisablehook = interrupt_again
    sys.exit(main(JWST, sys.argv[1:]))

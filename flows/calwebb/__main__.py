"""``python -m flows.calwebb``."""

import sys

from flows.calibrate.command import main

from .mission import JWST

if __name__ == "__main__":
    sys.exit(main(JWST, sys.argv[1:]))

"""``python -m flows.calwebb``."""

import sys

from .command import interrupt_again, main

if __name__ == "__main__":
    sys.unraisablehook = interrupt_again
    sys.exit(main(sys.argv[1:]))

"""``python -m stpipe_prefect``."""

import sys

from .warm.client import answer


def main() -> int:
    """Run the command on what the shell gave it."""
    if sys.argv[1:2] == ["warm"]:
        from .cli.main import main as run

        return run()
    return answer("stpipe_prefect.cli.main:main")


if __name__ == "__main__":
    sys.exit(main())

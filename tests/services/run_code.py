"""Python code as a command: ``python -m run_code CODE ARGUMENT...``, by the warm process if any."""

import sys


def run() -> int:
    """Run the code, to which the arguments that follow it are its own."""
    code = sys.argv.pop(1)
    exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})
    return 0


if __name__ == "__main__":
    from stpipe_prefect.warm.client import answer

    sys.exit(answer("run_code:run"))

"""A shell whose commands may find a warm process, in a runtime folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
from machine import until

TESTS = Path(__file__).parents[1]


class Shell:
    """Runs commands that may find a warm process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "COLUMNS"))},
            "XDG_RUNTIME_DIR": str(folder),
            "PYTHONPATH": os.pathsep.join([str(TESTS / "processes"), str(TESTS.parent)]),
        }

    def run(self, *arguments, python=sys.executable, **options):
        options = {"env": self.environment, "capture_output": True, "text": True} | options
        return subprocess.run([python, *map(str, arguments)], check=False, **options)

    def say(self, *arguments, **options):
        return self.run("-m", "surroundings", *arguments, **options)

    def warm(self, *arguments):
        return self.run("-m", "stpipe_prefect", "warm", *arguments)

    def start(self, *preload, idle=3600, **environment):
        """Start a warm process that imports modules of these tests; gives its number."""
        code = (
            "import sys; from stpipe_prefect.warm.start import start_to_stay; "
            f"start_to_stay({preload!r}, {idle})"
        )
        self.environment |= environment
        assert self.run("-c", code).returncode == 0
        until(lambda: self.warm("--status").returncode == 0, "the warm process")
        return self.process()

    def process(self):
        """Give the number of the warm process, or None."""
        said = self.warm("--status").stdout
        return int(said.split()[2]) if said else None


def gone(process):
    """Tell whether a process has ended; a zombie of a parent without care has, too."""
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True

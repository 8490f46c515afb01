"""A command that says where it runs, or waits; through the warm process if there is one."""

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path


def run():
    """Do what the first argument asks for."""
    what, *rest = sys.argv[1:] or ["say"]
    if what == "wait":
        Path(rest[0]).write_text(str(os.getpid()))
        if rest[1:]:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(17))
        time.sleep(600)
    if what == "end":
        sys.exit(rest[0] if not rest[0].isdecimal() else int(rest[0]))
    if what == "raise":
        raise RuntimeError("cut short")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    mask = os.umask(0)
    os.umask(mask)
    said = {
        "arguments": sys.argv[1:],
        "folder": str(Path.cwd()),
        "environment": {k: v for k, v in os.environ.items() if k not in ("_", "LINES", "COLUMNS")},
        "path": sys.path,
        "mask": mask,
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "nice": os.nice(0),
        "cores": sorted(os.sched_getaffinity(0)),
        "zone": time.tzname,
        "encoding": sys.stdout.encoding,
        "input": sys.stdin and sys.stdin.read(),
        "no_errors": sys.stderr is None,
    }
    print(json.dumps(said))
    print(os.getppid(), file=sys.stderr) if sys.stderr else None
    return 3


if __name__ == "__main__":
    from stpipe_prefect.warm.client import answer

    sys.exit(answer("surroundings:run"))

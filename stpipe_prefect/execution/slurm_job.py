"""What a job of SLURM runs on its node: one exposure, in a process of its own.

It writes what that says, and how it ended, into its folder; see `.slurm`. It ends when nobody
waits for it any more, which the lock of the command tells: the system frees that however the
command ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from ..locks import locked
from ..products.unfinished import is_abandoned
from ..warm.keep import VARIABLE
from ..warm.messages import Message
from .processes import run_isolated, use_warm_process
from .slurm import ENDED, LOCK, MESSAGES, WORK, write_ended

BEAT = 5.0
"""Seconds between looks at whether the command is there."""

ABANDONED = (
    "the command that waits for this job has ended, or file locks do not reach from its machine "
    "to this one"
)


def main(folder: Path) -> int:
    """Do the work of a job, unless that is done or nobody waits for it."""
    work = _work(folder)
    if work is None or _is_abandoned(folder, work):
        print(ABANDONED, file=sys.stderr)
        return 1
    # At its time limit, SLURM signals all processes: what runs the exposure ends, and says so.
    signal.signal(signal.SIGTERM, lambda *_: None)
    os.environ.pop(VARIABLE, None)  # what is started here ends with the job
    threading.Thread(target=_end_with_command, args=(folder, work), daemon=True).start()
    with locked(folder / LOCK, -1):  # the same job may run on a node that SLURM has given up
        if not (folder / ENDED).exists():
            _run(folder, work)
    return 0


def _run(folder: Path, work: Message) -> None:
    sys.path[:] = work["path"]
    use_warm_process(work["preload"])
    with (folder / MESSAGES).open("a") as messages:
        messages.write("\n")  # after what a node has left that failed in the middle of a line

        def tell(message: Message) -> None:
            messages.write(json.dumps(message) + "\n")
            messages.flush()

        ended = run_isolated(
            work["function"], work["argument"], tell, time_limit=work["time_limit"]
        )
    write_ended(folder, ended)


def _work(folder: Path) -> Message | None:
    try:
        work: Message = json.loads((folder / WORK).read_text())
    except FileNotFoundError:
        return None
    return work


def _is_abandoned(folder: Path, work: Message) -> bool:
    return not folder.exists() or is_abandoned(folder.parent.parent, work["command"])


def _end_with_command(folder: Path, work: Message) -> None:
    while not _is_abandoned(folder, work):
        time.sleep(BEAT)
    print(ABANDONED, file=sys.stderr, flush=True)
    os._exit(1)  # the process of the exposure ends with this one


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

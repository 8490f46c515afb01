"""What the processes of exposures need of any mission, imported before they are forked.

Unlike other modules this one, and those of the missions that import it, do something as they are
imported: only the fork server does so, and has no other way to be told. What is left out here
costs its time again for every exposure.
"""

import atexit
import os
import shutil
import signal
from functools import partial

import anyio
import astropy.visualization  # noqa: F401 - of quick looks
import fastapi  # noqa: F401 - by Prefect's client
import PIL.Image
import prefect.task_engine
import prefect.utilities.visualization  # noqa: F401

import stpipe_prefect.orchestration.subflow  # noqa: F401
from flows.calibrate.exposure import exposure  # noqa: F401
from stpipe_prefect.execution.processes import SOCKET_FOLDER
from stpipe_prefect.workarounds import parse_schemas_once

# Ctrl-C reaches all processes of a terminal: this one and those forked from it are ended by the
# one that started them.
signal.signal(signal.SIGINT, signal.SIG_IGN)

if folder := os.environ.pop(SOCKET_FOLDER, ""):  # who made it may have been killed
    atexit.register(partial(shutil.rmtree, folder, ignore_errors=True))

PIL.Image.preinit()
anyio.run(anyio.sleep, 0)  # imports what runs it
parse_schemas_once()

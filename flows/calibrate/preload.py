"""What the processes of exposures need of any mission, imported before they are forked.

Unlike other modules this one, and those of the missions that import it, do something as they are
imported: only the warm process does so, and has no other way to be told. What is left out here
costs its time again for every exposure.
"""

import anyio
import astropy.visualization.wcsaxes  # noqa: F401 - of quick looks with a grid on the sky
import fastapi  # noqa: F401 - by Prefect's client
import PIL.Image
import prefect.task_engine
import prefect.utilities.visualization  # noqa: F401

import flows.calibrate.command
import flows.calibrate.specification
import flows.calibrate.tables
import flows.calibrate.terminal  # noqa: F401
import stpipe_prefect.orchestration.subflow  # noqa: F401
from flows.calibrate.exposure import exposure  # noqa: F401
from stpipe_prefect.workarounds import parse_schemas_once

PIL.Image.init()  # all formats: quick looks are WebP, which preinit leaves out
anyio.run(anyio.sleep, 0)  # imports what runs it
parse_schemas_once()

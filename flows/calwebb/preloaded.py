"""All that is heavy, imported before processes are forked for exposures.

Unlike other modules this one does something as it is imported: only the fork server does so, and
has no other way to be told.
"""

import gc
import io
import signal

import astropy.visualization  # noqa: F401 - of quick looks
import jwst.pipeline  # noqa: F401
import PIL.Image  # noqa: F401
from stdatamodels.jwst.datamodels import ImageModel

import stpipe_prefect.orchestration.subflows  # noqa: F401
from flows.calibrate.exposure import exposure  # noqa: F401
from stpipe_prefect.registry import registered_steps

# Ctrl-C reaches all processes of a terminal: this one and those forked from it are ended by the
# one that started them.
signal.signal(signal.SIGINT, signal.SIG_IGN)

registered_steps()  # looks into every installed package: 0.3 s

# The machinery of the data models loads its extensions when it is used first: 0.6 s.
with ImageModel((2, 2)) as _model:
    _model.to_fits(io.BytesIO())

# stpipe collects garbage before every step, 0.1 s each time over all that jwst brings along.
gc.collect()
gc.freeze()

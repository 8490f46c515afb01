"""All that is heavy, imported before processes are forked for exposures.

As `flows.calwebb.preloaded`, this does something as it is imported.
"""

import gc
import signal

import astropy.visualization  # noqa: F401 - of quick looks
import PIL.Image  # noqa: F401
import romancal.pipeline  # noqa: F401

import stpipe_prefect.orchestration.subflows  # noqa: F401
from flows.calibrate.exposure import exposure  # noqa: F401

signal.signal(signal.SIGINT, signal.SIG_IGN)
gc.collect()
gc.freeze()

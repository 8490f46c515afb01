"""All that is heavy, imported before processes are forked for exposures.

As `flows.calibrate.preloaded`, this does something as it is imported.
"""

import gc

import romancal.pipeline  # noqa: F401

import flows.calibrate.preloaded  # noqa: F401

gc.collect()
gc.freeze()

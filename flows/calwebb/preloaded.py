"""All that is heavy, imported before processes are forked for exposures.

As `flows.calibrate.preloaded`, this does something as it is imported.
"""

import gc
import io

import crds.jwst.locate  # noqa: F401
import jwst.pipeline  # noqa: F401
from stdatamodels.jwst.datamodels import ImageModel

import flows.calibrate.preloaded  # noqa: F401

# The machinery of the data models loads its extensions when it is used first: 0.6 s.
with ImageModel((2, 2)) as _model:
    _model.to_fits(io.BytesIO())

# stpipe collects garbage before every step, 0.1 s each time over all that jwst brings along.
gc.collect()
gc.freeze()

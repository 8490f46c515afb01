"""Step: what one algorithm is. In layers, each building on the one before.

==========================  =========================================================
`identity.Member`           who a step is: its name, its parent, its loggers
`crds.Calibrated`           what CRDS gives it: reference files and their overrides
`configuration.Configured`  its parameters, from code, CRDS and files
`saving.Producing`          what it reads and leaves behind: files and their names
`core.Step`                 how it runs
==========================  =========================================================
"""

from ..parameters.layers import crds_parameters_disabled as get_disable_crds_steppars
from .core import Step, preserve_step_pars

__all__ = ["Step", "get_disable_crds_steppars", "preserve_step_pars"]

"""The embedded sample of Roman: simulated exposures of known truth, and the CRDS cache they need.

Far smaller than a detector: the steps that insist on a whole one, or on what cannot be had
without a network, are skipped by parameter files of this cache, see `references`.
"""

"""The flow ``calwebb``: each input through its pipelines, in a process of its own."""

from flows.calibrate.factory import mission_flow

from .mission import JWST

calwebb = mission_flow(JWST)

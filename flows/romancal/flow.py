"""The flow ``romancal``: each input through its pipelines, in a process of its own."""

from flows.calibrate.factory import mission_flow

from .mission import ROMAN

romancal = mission_flow(ROMAN)

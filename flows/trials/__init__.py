"""Trials: reductions side by side, each in a folder of its own, that share what they can."""

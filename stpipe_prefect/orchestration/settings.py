"""Moved to `.deployments`; this module goes with the last who imports it."""

from .deployments import DeploymentSettings

__all__ = ["DeploymentSettings"]

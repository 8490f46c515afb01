"""A plugin for pytest: says which tests did not pass, in the file that OUTCOMES names."""

import os
from pathlib import Path

_failed: dict[str, None] = {}
_paths: dict[str, str] = {}


def pytest_collection_modifyitems(items):
    for item in items:
        _paths[item.nodeid] = f"{item.path}::{item.nodeid.partition('::')[2]}"


def pytest_runtest_logreport(report):
    if report.failed:
        _failed[_paths[report.nodeid]] = None


def pytest_sessionfinish():
    Path(os.environ["OUTCOMES"]).write_text("\n".join(_failed))

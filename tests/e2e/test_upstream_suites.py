"""jwst's own tests of Steps and Pipelines pass on our base wherever they pass on upstream's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ELSEWISE = {
    "test_pipeline_commandline_invalid_args": "the help is not printed beside an error",
}
"""What is deliberately not as upstream has it, and why."""


@pytest.fixture
def failures(sample, tmp_path):
    """Run tests of jwst in a process of its own, and list those that do not pass."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CRDS_", "PYTEST_"))}
    here = str(Path(__file__).parent)

    def run(tests, *plugins):
        outcomes = tmp_path / "outcomes"
        given = {"CRDS_PATH": str(sample.crds_path), "OUTCOMES": str(outcomes)}
        path = os.pathsep.join(filter(None, (here, kept.get("PYTHONPATH"))))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *(word for plugin in ("outcomes_to_file", *plugins) for word in ("-p", plugin)),
                *("--pyargs", *tests),
            ],
            cwd=tmp_path,
            env=kept | given | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout[-3000:] + done.stderr[-1000:]
        return outcomes.read_text().splitlines()

    return run


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["jwst.stpipe", "jwst.pipeline"])
def test_whatever_passes_on_upstreams_base_passes_on_ours(failures, suite):
    on_ours = failures([suite], "on_our_base")
    # Some need references that the sample does not have, and pass nowhere.
    nowhere = failures(on_ours)
    worse = [test for test in on_ours if test not in nowhere]
    assert [test for test in worse if test.rpartition("::")[2] not in ELSEWISE] == []

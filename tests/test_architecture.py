"""The direction of imports, and what importing costs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_imports_keep_to_the_contracts():
    lint = shutil.which("lint-imports", path=Path(sys.executable).parent)
    result = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


COMMAND = "from flows.calibrate.command import main\nfrom flows.calwebb.mission import JWST\n"
LOADED = "import sys; sys.stderr.write(' '.join({'jwst', 'prefect', 'crds'} & set(sys.modules)))"


@pytest.mark.parametrize(
    "code",
    [
        "import flows.calibrate.command, flows.calwebb.mission",
        "import stpipe_prefect",
        f"{COMMAND}try: main(JWST, ['--help'])\nexcept SystemExit: pass",
        f"{COMMAND}assert main(JWST, ['absent.fits']) == 1",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code, tmp_path):
    command = [sys.executable, "-c", f"{code}\n{LOADED}"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stderr.replace("calwebb: absent.fits: no such file\n", "") == ""


def test_modules_can_be_read_in_one_sitting():
    modules = [*ROOT.glob("stpipe_prefect/**/*.py"), *ROOT.glob("flows/**/*.py")]
    assert modules
    lengths = {path: len(path.read_text().splitlines()) for path in modules}
    assert {path: lines for path, lines in lengths.items() if lines > 400} == {}

"""romancal's own classes make the same on our Step and Pipeline, on upstream's, and as a flow."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("romancal")

MAKE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import roman_sample

folder = Path(sys.argv[2])
roman_sample.make_exposure(folder)
roman_sample.make_references(folder)
roman_sample.make_crds_cache(folder / "crds")
"""
CALIBRATE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import roman_sample

if sys.argv[4] == "ours":
    import instead_of_upstream
    instead_of_upstream.install()
from romancal.pipeline import ExposurePipeline

if sys.argv[4] == "flow":
    from stpipe_prefect import as_flow
    call = as_flow(ExposurePipeline)
else:
    call = ExposurePipeline.call

folder = Path(sys.argv[2])
call(
    str(folder / roman_sample.EXPOSURE),
    steps=roman_sample.parameters(folder),
    save_results=True,
    output_dir=sys.argv[3],
)
print([base.__module__ for base in ExposurePipeline.__mro__][1:5])
"""
WAYS = {
    "theirs": "stpipe.pipeline",
    "ours": "stpipe_prefect.pipeline",
    "flow": "stpipe.pipeline",
}
"""How the pipeline runs, and where the Pipeline it derives from is."""


@pytest.fixture(scope="module")
def made(run_python, tmp_path_factory):
    here, folder = Path(__file__).parent, tmp_path_factory.mktemp("roman")
    run_python(MAKE, here, folder)
    environment = {
        "CRDS_PATH": folder / "crds",
        "CRDS_OBSERVATORY": "roman",
        "PREFECT_HOME": tmp_path_factory.mktemp("prefect"),
    }
    for way, module in WAYS.items():
        (folder / way).mkdir()
        printed = run_python(CALIBRATE, here, folder, folder / way, way, **environment)
        assert module in printed
    return folder


@pytest.mark.parametrize("way", ["ours", "flow"])
def test_same_files(made, way):
    names = sorted(path.name for path in (made / "theirs").iterdir())
    assert [name.rpartition("_")[2] for name in names] == ["cal.asdf", "wcs.asdf"]
    assert sorted(path.name for path in (made / way).glob("*.asdf")) == names


@pytest.mark.parametrize("way", ["ours", "flow"])
def test_every_array_and_value_is_the_same(made, way):
    import asdf

    for path in (made / "theirs").iterdir():
        with asdf.open(path) as theirs, asdf.open(made / way / path.name) as ours:
            assert list(_differences(ours["roman"], theirs["roman"])) == []


def test_steps_ran(made):
    import asdf

    with asdf.open(next((made / "ours").glob("*_cal.asdf"))) as product:
        meta = product["roman"]["meta"]
        for step in ("dq_init", "saturation", "linearity", "ramp_fit", "dark", "assign_wcs"):
            assert meta["cal_step"][step] == "COMPLETE"
        assert meta["ref_file"]["gain"].endswith("gain.asdf")
        assert meta["ref_file"]["crds"]["context"] == "roman_0001.pmap"
        assert any("Step rampfit running" in line for line in meta["cal_logs"])


def _differences(ours, theirs, path=""):
    if hasattr(theirs, "keys"):
        if set(ours) != set(theirs):
            yield f"{path}: {set(ours) ^ set(theirs)}"
        for key in set(ours) & set(theirs) - {"file_date", "cal_logs"}:
            yield from _differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(theirs, list):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(*pair, f"{path}[{index}]")
    elif hasattr(theirs, "forward_transform"):
        if ours(10, 20) != theirs(10, 20):
            yield path
    elif hasattr(theirs, "dtype"):
        floating = np.issubdtype(theirs.dtype, np.floating)
        if ours.dtype != theirs.dtype or not np.array_equal(ours, theirs, equal_nan=floating):
            yield path
    elif ours != theirs:
        yield f"{path}: {ours!r} {theirs!r}"

"""romancal's own classes make the same on our Step and Pipeline, on upstream's, and as a flow."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("romancal")

CALIBRATE = """
import sys
sys.path.insert(0, sys.argv[1])

if sys.argv[4] == "ours":
    import instead_of_upstream
    instead_of_upstream.install()
from romancal.pipeline import ExposurePipeline

if sys.argv[4] == "flow":
    from stpipe_prefect import as_flow
    call = as_flow(ExposurePipeline)
else:
    call = ExposurePipeline.call

call(sys.argv[2], save_results=True, output_dir=sys.argv[3])
print([base.__module__ for base in ExposurePipeline.__mro__][1:5])
"""
pytestmark = pytest.mark.slow

WAYS = {
    "theirs": "stpipe.pipeline",
    "ours": "stpipe_prefect.pipeline",
    "flow": "stpipe.pipeline",
}
"""How the pipeline runs, and where the Pipeline it derives from is."""


@pytest.fixture(scope="module")
def made(roman, run_python, new_prefect_home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("roman")
    environment = {
        "CRDS_PATH": roman.crds_path,
        "CRDS_OBSERVATORY": "roman",
        "PREFECT_HOME": new_prefect_home(),
    }
    exposure = roman.exposures[0]
    for way, module in WAYS.items():
        (folder / way).mkdir()
        here = Path(__file__).parent
        printed = run_python(CALIBRATE, here, exposure, folder / way, way, **environment)
        assert module in printed
    return folder


@pytest.mark.parametrize("way", ["ours", "flow"])
def test_same_files(made, way):
    names = sorted(path.name for path in (made / "theirs").iterdir())
    assert [name.rpartition("_")[2] for name in names] == [
        "cal.asdf",
        "cat.parquet",
        "segm.asdf",
        "wcs.asdf",
    ]
    ours = [path.name for path in (made / way).iterdir() if path.suffix in (".asdf", ".parquet")]
    assert sorted(ours) == names


@pytest.mark.parametrize("way", ["ours", "flow"])
def test_every_array_and_value_is_the_same(made, way):
    import asdf

    for path in (made / "theirs").glob("*.asdf"):
        with asdf.open(path) as theirs, asdf.open(made / way / path.name) as ours:
            assert list(_differences(ours["roman"], theirs["roman"])) == []


@pytest.mark.parametrize("way", ["ours", "flow"])
def test_every_source_of_the_catalogue_is_the_same(made, way):
    from astropy.table import Table

    (path,) = (made / "theirs").glob("*.parquet")
    theirs, ours = Table.read(path), Table.read(made / way / path.name)
    assert len(theirs) == 25 and ours.colnames == theirs.colnames
    for name in theirs.colnames:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_steps_ran(made):
    import asdf

    with asdf.open(next((made / "ours").glob("*_cal.asdf"))) as product:
        meta = product["roman"]["meta"]
        for step in ("dq_init", "saturation", "linearity", "ramp_fit", "dark", "assign_wcs"):
            assert meta["cal_step"][step] == "COMPLETE"
        assert meta["ref_file"]["gain"] == "crds://roman_wfi_gain_0001.asdf"
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

"""jwst's own classes on our Step and Pipeline make what they make on upstream's."""

import json
from pathlib import Path

import pytest

ON_OURS = """
import json, sys
sys.path.insert(0, sys.argv[3])
import instead_of_upstream
instead_of_upstream.install()
import jwst.pipeline
import stpipe_prefect

for pipeline, exposure in json.loads(sys.argv[1]):
    pipeline_class = getattr(jwst.pipeline, pipeline)
    assert issubclass(pipeline_class, stpipe_prefect.Pipeline)
    pipeline_class.call(exposure, save_results=True, output_dir=sys.argv[2])
upstream = [name for name, module in sys.modules.items()
            if name.partition(".")[0] == "stpipe" and getattr(module, "__file__", None)]
print(upstream)
"""


@pytest.fixture(scope="module")
def products(calibrated):
    return calibrated("jwst_0002.pmap")


@pytest.fixture(scope="module")
def made_on_ours(products, calibration_jobs, run_python, sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("on_ours")
    printed = run_python(
        ON_OURS,
        json.dumps(calibration_jobs(out)),
        out,
        Path(__file__).parent,
        CRDS_PATH=sample.crds_path,
        CRDS_CONTEXT=products.context,
    )
    assert printed.strip() == "['stpipe.library']"  # all that is left of upstream
    return out


def test_same_files(products, made_on_ours):
    assert _names(made_on_ours) == _names(products.folder)


def test_every_array_table_and_card_is_the_same(products, made_on_ours, differences):
    for name in _names(products.folder):
        assert differences(made_on_ours / name, products.folder / name) == []


def test_products_hold_the_log_of_their_run(made_on_ours):
    from stdatamodels.jwst import datamodels

    with datamodels.open(next(made_on_ours.glob("*00001_*_rate.fits"))) as model:
        lines = model.cal_logs.calwebb_detector1
    assert any("stpipe.step - INFO - Step jump running" in line for line in lines)
    assert not any("_00002_" in line for line in lines)


def _names(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".json")

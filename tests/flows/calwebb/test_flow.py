"""The flow as Python calls it."""

import subprocess
import sys

CALL = """
from flows.calwebb.flow import calwebb
if __name__ == "__main__":
    for product in calwebb([{uncal!r}], output_dir="products", pipeline={pipeline!r}):
        print(product.rpartition("/")[2])
"""


def test_a_pipeline_by_the_path_of_its_class(environment, uncal, tmp_path):
    code = CALL.format(uncal=str(uncal), pipeline="jwst.pipeline.Detector1Pipeline")
    command = [sys.executable, "-m", "run_code", code]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    stem = uncal.name.removesuffix("_uncal.fits")
    assert done.stdout.split() == [f"{stem}_rate.fits", f"{stem}_rateints.fits"]

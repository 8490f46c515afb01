"""The command as a user runs it: what is said, what is left, and what is planned afterwards."""

import json
import subprocess
import sys
from types import SimpleNamespace

import asdf
import pytest

from stpipe_prefect.products.quicklook import quick_look

COMMAND = [sys.executable, "-m", "flows.romancal"]


@pytest.fixture(scope="module")
def romancal(user, roman):
    """Run the command as a user without a CRDS cache: the sample has its own."""

    def run(*arguments, **variables):
        command = [*COMMAND, *map(str, arguments)]
        changed = user | {k: str(v) for k, v in variables.items()}
        return subprocess.run(command, env=changed, capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def made(roman_products):
    """What the command makes of the sample, and says."""
    said = json.loads((roman_products / "said.json").read_text())
    return SimpleNamespace(out=roman_products / "out", run=SimpleNamespace(**said))


def test_sample_is_calibrated_and_its_truth_recovered(made, roman):
    assert (made.run.returncode, made.run.stderr) == (0, "")
    assert "The truth was recovered: 100.0% of cosmic rays flagged" in " ".join(
        made.run.stdout.split()
    )
    kinds = ["cal.asdf", "cat.parquet", "segm.asdf", "wcs.asdf"]
    stems = [path.name.removesuffix("uncal.asdf") for path in roman.exposures]
    mosaic = roman.association.name.removesuffix("asn.json")
    expected = [stem + kind for stem in stems for kind in kinds]
    expected += [mosaic + kind for kind in ("cat.parquet", "coadd.asdf", "segm.asdf")]
    found = [path.name for path in made.out.iterdir() if path.suffix in (".asdf", ".parquet")]
    assert sorted(found) == sorted(expected)


def test_associations_need_something_to_go_by(romancal, roman, tmp_path):
    run = romancal(*roman.exposures, "--associate", "--output-dir", tmp_path)
    assert run.returncode == 2
    assert run.stderr.startswith("romancal: --associate needs by=filter")


def test_images_have_quick_looks(made):
    seen = {path.name.rpartition("_")[2]: quick_look(path) for path in made.out.glob("*_*.asdf")}
    assert seen.pop("wcs.asdf") is None
    assert seen["cal.asdf"].caption.count("192 × 192 pixels, asinh from") == 1  # noqa: RUF001
    assert set(seen) == {"cal.asdf", "coadd.asdf", "segm.asdf"}


@pytest.mark.slow
def test_plan_of_another_context_and_back(made, romancal, roman):
    again = json.loads(romancal("--output-dir", made.out, "--plan", "--json").stdout)
    assert [plan["reasons"] for plan in again] == [[], [], [], []]
    changed = romancal("--output-dir", made.out, "--plan", "--json", "--context=roman_0002.pmap")
    *exposures, mosaic = json.loads(changed.stdout)
    assert [plan["reasons"] for plan in exposures] == [["reference flat 0001 → 0002"]] * 3
    first = roman.exposures[0].name.replace("_uncal", "_cal")
    assert mosaic["reasons"] == [f"input {first} and 2 more will be remade"]


@pytest.mark.slow
def test_resumes_after_a_checkpoint(romancal, roman, tmp_path):
    exposure, out = roman.exposures[0], tmp_path / "out"
    arguments = [exposure, "--output-dir", out, "--checkpoint=assign_wcs"]
    surroundings = {"CRDS_PATH": roman.crds_path, "STPIPE_PREFECT_CHECKPOINTS": tmp_path / "kept"}
    for more in ([], ["--steps.flatfield.skip=true"]):
        run = romancal(*arguments, *more, **surroundings)
        assert (run.returncode, run.stderr) == (0, "")
    record = json.loads((out / f"{exposure.stem}.roman_elp.provenance.json").read_text())
    cached = [step["step"] for step in record["steps"] if step["outcome"] == "Cached"]
    assert "rampfit" in cached and "assign_wcs" in cached
    with asdf.open(out / exposure.name.replace("_uncal", "_cal")) as product:
        steps = product["roman"]["meta"]["cal_step"]
        assert (steps["ramp_fit"], steps["flat_field"]) == ("COMPLETE", "SKIPPED")


def test_bad_files_and_parameters(romancal, roman, tmp_path):
    half = tmp_path / "half_uncal.asdf"
    half.write_bytes(roman.exposures[0].read_bytes()[:50_000])
    run = romancal("absent_uncal.asdf", half)
    assert (run.returncode, run.stdout) == (1, "")
    absent, truncated = run.stderr.splitlines()
    assert absent == "romancal: absent_uncal.asdf: no such file"
    assert truncated.startswith(f"romancal: {half}: truncated: 50000 bytes, its blocks declare ")
    run = romancal(roman.exposures[0], "--steps.rampfit.algoritm=likely", "--plan")
    assert (run.returncode, run.stderr) == (
        2,
        "romancal: roman_elp: there is no parameter 'steps.rampfit.algoritm' "
        "(did you mean 'steps.rampfit.algorithm'?)\n",
    )

"""A campaign from one file, as a user has it: plan, run, parameters, record."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from astropy.io import fits

CAMPAIGN = """\
observatory = "jwst"
inputs = ["raw/"]
output = "products"
stage = 1

[exclude]
"*_00003_*" = "guide star lost"

[calwebb_detector1.steps]
dark_current.skip = true
jump.rejection_threshold = 5

[[for]]
when = { filter = "F150W" }
calwebb_detector1.steps.jump.rejection_threshold = 6
"""

JUMP = "steps.jump.rejection_threshold"
RULE = "campaign.toml, for filter=F150W"


@dataclass(frozen=True)
class Campaign:
    """A folder with a campaign file, and what the command says of it."""

    folder: Path
    environment: dict[str, str]

    def run(self, *options):
        return subprocess.run(
            [sys.executable, "-m", "flows.calwebb", "campaign.toml", *options],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
        )

    def add(self, text):
        with (self.folder / "campaign.toml").open("a") as file:
            file.write(text)


@pytest.fixture
def campaign(small, environment, tmp_path):
    """Three exposures: of two filters, and one that is excluded."""
    (tmp_path / "raw").mkdir()
    for number, filter in ((1, "F200W"), (2, "F150W"), (3, "F200W")):
        name = f"jw01234001001_02101_0000{number}_nrcb1_uncal.fits"
        with fits.open(small.program.exposures[0]) as hdus:
            hdus[0].header["FILTER"] = filter
            hdus.writeto(tmp_path / "raw" / name)
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    return Campaign(tmp_path, environment)


def test_campaign_is_planned_explained_and_run_as_its_file_says(campaign):
    plan = campaign.run("--plan")
    assert plan.returncode == 0, plan.stderr
    assert "excluded: guide star lost" in plan.stdout
    assert f"{RULE}, calwebb_detector1: {JUMP}=6" in plan.stdout
    assert "2 of 2 will run" in plan.stdout

    explained = campaign.run("--explain", "*_00002_*", "--json")
    (found,) = json.loads(explained.stdout)
    (threshold,) = [each for each in found["parameters"] if each["step"] == "jump" and
                    each["parameter"] == "rejection_threshold"]  # fmt: skip
    assert (threshold["value"], threshold["source"]) == (6, RULE)
    assert threshold["history"][-1] == {"value": 5, "source": "campaign.toml"}

    done = campaign.run("--steps.dark_current.skip=false")
    assert done.returncode == 0, done.stderr
    assert "jw01234001001_02101_00003_nrcb1_uncal.fits: excluded: guide star lost" in done.stdout
    records = sorted((campaign.folder / "products").glob("*.provenance.json"))
    assert [path.name[20:25] for path in records] == ["00001", "00002"]
    assert [told(path) for path in records] == [
        {("jump", 5.0, "campaign.toml"), ("dark_current", False, "flow run")},
        {("jump", 6.0, RULE), ("dark_current", False, "flow run")},
    ]

    again = campaign.run("--steps.dark_current.skip=false")
    assert "Cached" in again.stdout
    campaign.add("calwebb_detector1.steps.jump.min_jump_to_flag_neighbors = 20\n")
    plan = campaign.run("--plan", "--steps.dark_current.skip=false", "--json")
    assert [(each.get("reasons"), each.get("excluded")) for each in json.loads(plan.stdout)] == [
        ([], None),
        ([f"parameter jump.min_jump_to_flag_neighbors 10.0 → 20 (step code → {RULE})"], None),
        (None, "guide star lost"),
    ]


def told(record):
    """What somebody said of two parameters, and who."""
    rows = json.loads(record.read_text())["parameters"]
    return {
        (row["step"], row["value"], row["source"])
        for row in rows
        if (row["step"], row["parameter"])
        in (("jump", "rejection_threshold"), ("dark_current", "skip"))
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "calwebb_detector1.steps.jump.threshold = 4",
            "campaign.toml: for[1].calwebb_detector1: there is no parameter 'steps.jump.threshold'",
        ),
        (
            '[[for]]\nwhen = {filter = "F770W"}\ncalwebb_detector1.save_calibrated_ramp = true',
            "campaign.toml: for[2].when: filter=F770W holds for none of 2 exposures; ",
        ),
        ("[exclude]\n", "campaign.toml: not a readable TOML file: Cannot declare ('exclude',) "),
    ],
)
def test_wrong_campaign_runs_nothing(campaign, text, problem):
    campaign.add(text)
    done = campaign.run()
    assert done.returncode == 2
    assert done.stderr.startswith(f"calwebb: {problem}")
    assert "\n" not in done.stderr.strip()
    assert not os.path.lexists(campaign.folder / "products") or not [
        *(campaign.folder / "products").iterdir()
    ]


def test_inputs_that_fail_are_excluded_from_later_runs(campaign):
    for path in (campaign.folder / "raw").iterdir():
        path.write_bytes(path.read_bytes()[:-5000])
    done = campaign.run("--write-exclusions", "campaign.toml")
    assert done.returncode == 1
    assert "2 excluded in campaign.toml" in done.stdout
    text = (campaign.folder / "campaign.toml").read_text()
    for number in (1, 2):
        assert f'"jw01234001001_02101_0000{number}_nrcb1_uncal.fits" = "' in text
    assert done.stderr.count("truncated") == text.count("truncated")
    assert "raw/jw" not in text
    campaign.add('[[for]]\nwhen = {detector = "NRCB1"}\ncalwebb_detector1.suffix = "x"\n')
    plan = campaign.run("--plan")
    assert (plan.returncode, plan.stderr) == (0, "")

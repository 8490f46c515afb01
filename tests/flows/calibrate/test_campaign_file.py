"""Campaign files: what they say, and one line for everything that is wrong with them."""

import json
from pathlib import Path

import pytest

from flows.calibrate.campaign_file import CampaignFile
from flows.calibrate.campaign_reading import check_files, read_campaign_file
from flows.calibrate.inputs import campaign_file_among
from flows.calwebb.mission import JWST
from flows.romancal.mission import ROMAN
from stpipe_prefect.exceptions import NoInputError, UsageError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def read(tmp_path):
    def read(text, mission=JWST):
        path = tmp_path / "campaign.toml"
        path.write_text(text)
        return read_campaign_file(path, mission)

    return read


WRONG = {
    'inputs = ["raw/"': "not a readable TOML file: Unclosed array (at end of document)",
    'inputs = ["a"]\n[for]]\n': "not a readable TOML file: Expected newline or end of document "
    "after a statement (at line 2, column 6)",
    'output = "out"': "inputs: is missing",
    "inputs = []": "inputs: expected at least one",
    'inputs = "raw/"': "inputs: expected a list, not 'raw/'",
    'inputs = ["raw/", 3]': "inputs[2]: expected a text, not 3",
    'inputs = ["a"]\ninptus = ["b"]': "inptus: there is no such key (did you mean 'inputs'?)",
    'inputs = ["a"]\n[excluded]\nb = "c"': "excluded: there is no such pipeline or key "
    "(did you mean 'exclude'?)",
    'inputs = ["a"]\n[calwebb_detctor1]\nb = 1': "calwebb_detctor1: there is no such pipeline or "
    "key (did you mean 'calwebb_detector1'?)",
    'inputs = ["a"]\ncalwebb_detector1 = 3': "calwebb_detector1: expected a table, not 3",
    'inputs = ["a"]\nobservatory = "roman"': "observatory: expected jwst, not 'roman'",
    'inputs = ["a"]\nstage = 4': "stage: expected 1, 2, 3, not 4",
    'inputs = ["a"]\nstage = "1"': "stage: expected a whole number, not '1'",
    'inputs = ["a"]\n[exclude]\nb = 3': "exclude.b: expected a text, not 3",
    'inputs = ["a"]\nassociate = {grid = "own"}': "associate.grid: expected 'shared', not 'own'",
    'inputs = ["a"]\nassociate = {by = "filter"}': "associate.by: expected a list, not 'filter'",
    'inputs = ["a"]\nstage = 1\nassociate = {}': "stage: leave it out: associate goes through all "
    "stages",
    'inputs = ["a"]\n[[for]]\ncalwebb_image3.a = 1': "for[1].when: is missing",
    'inputs = ["a"]\n[[for]]\nwhen = {filter = "F1"}': "for[1]: has no parameters: give them as "
    "<pipeline>.<parameter>",
    'inputs = ["a"]\n[[for]]\nwhen = {filter = {is = 1}}\ncalwebb_image3.a = 1': "for[1].when."
    "filter: expected a text, number or boolean, or a list of these, not a table",
    'inputs = ["a"]\n[[for]]\nwhen = {filter = []}\ncalwebb_image3.a = 1': "for[1].when.filter: "
    "expected at least one value",
    'inputs = ["a"]\n[[for]]\nwhen = {}\ncalwebb_image4.a = 1': "for[1].calwebb_image4: there is "
    "no such pipeline or key (did you mean 'calwebb_image3'?)",
    'inputs = ["a"]\n[calwebb_image3]\na = 1979-05-27': "calwebb_image3: a: expected a text, "
    "number or boolean, or a list of these, not 1979-05-27: as a text it stands in quotes",
    'inputs = ["a"]\n[calwebb_image3]\na = nan': "calwebb_image3: a: expected a finite number, "
    "not nan",
    'inputs = ["a"]\n[[for]]\nwhen = {}\nsteps.jump.skip = true': "for[1].steps: there is no such "
    "pipeline or key: those of a pipeline are in its table, as <pipeline>.steps",
    'inputs = ["a"]\n[calwebb_image3]\noutput_file = "x"': "calwebb_image3: output_file: is for "
    "one input: give it on the command line",
    'inputs = ["a"]\n[calwebb_image3.steps.resample]\nconfig_file = "x.asdf"': "calwebb_image3: "
    "steps.resample.config_file: a parameter file goes with a pipeline, as config_file",
    'inputs = ["a"]\n[[for]]\nwhen = {filter = "F1"}\ncalwebb_image3.config_file = "x"': "for[1]."
    "calwebb_image3.config_file: goes for all inputs: give it under [calwebb_image3]",
    'inputs = ["a"]\n[[insert]]\nafter = "jump"\nstep = "a.B"': "insert[1].after: there is no "
    "pipeline 'jump'; for a step, give its pipeline, too",
    'inputs = ["a"]\n[[insert]]\nstep = "a.B"': "insert[1]: expected one of after and before",
    'inputs = ["a"]\n[replace]\ncalwebb_image9 = "a.B"': "replace.calwebb_image9: there is no such "
    "pipeline (did you mean 'calwebb_image3'?)",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_a_file_is_said_in_one_line(read, text):
    with pytest.raises(UsageError) as raised:
        read(text)
    assert WRONG[text] in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "campaign.toml: " in str(raised.value)


def test_file_of_an_editor_on_windows(tmp_path):
    path = tmp_path / "campaign.toml"
    path.write_text('inputs = ["raw/"]', encoding="utf-8-sig")
    assert read_campaign_file(path, JWST).inputs == ["raw/"]
    path.write_text('inputs = ["raw/"]', encoding="utf-16")
    with pytest.raises(UsageError, match="is not UTF-8, as TOML files are: save it as that"):
        read_campaign_file(path, JWST)


def test_files_that_it_names_have_to_be_there(read, tmp_path):
    file = read(
        'inputs = ["a"]\ncalwebb_detector1.config_file = "none.asdf"\n'
        'calwebb_detector1.steps.gain_scale.override_gain = "N/A"\n'
        "[[for]]\nwhen = {}\n"
        'calwebb_detector1.steps.dark_current.override_dark = "none.fits"\n'
    )
    with pytest.raises(UsageError) as raised:
        check_files(file)
    assert str(raised.value).splitlines() == [
        f"campaign.toml: calwebb_detector1.config_file: {tmp_path}/none.asdf: no such file",
        "campaign.toml: for[1].calwebb_detector1.steps.dark_current.override_dark: "
        f"{tmp_path}/none.fits: no such file",
    ]
    for name in ("none.asdf", "none.fits"):
        (tmp_path / name).touch()
    check_files(file)


def test_everything_that_is_wrong_is_named(read):
    with pytest.raises(UsageError) as raised:
        read('observatory = 3\ninptus = ["a"]\n[[for]]\nwhen = 3\ncalwebb_image3.a = 1\n')
    assert str(raised.value).splitlines() == [
        "campaign.toml: inptus: there is no such key (did you mean 'inputs'?)",
        "campaign.toml: observatory: expected a text, not 3",
        "campaign.toml: inputs: is missing",
        "campaign.toml: for[1].when: expected a table, not 3",
    ]


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NoInputError, match=r"none\.toml: no such campaign file"):
        read_campaign_file(tmp_path / "none.toml", JWST)


def test_mission_without_stages_and_shared_grids_takes_neither(read):
    with pytest.raises(UsageError) as raised:
        read('inputs = ["a"]\nassociate = {by = ["filter"], grid = "shared"}\n', ROMAN)
    assert str(raised.value).endswith("associate.grid: romancal has no shared grids")
    with pytest.raises(UsageError, match="stage: expected no stage, not 1"):
        read('inputs = ["a"]\nstage = 1', ROMAN)


def test_paths_start_in_the_folder_of_the_file(read, tmp_path):
    file = read(
        'inputs = ["raw/", "*_uncal.fits", "/else/where.fits"]\noutput = "out"\n'
        'calwebb_image3.config_file = "mine.asdf"\nassociate = {pool = "pool.csv"}\n'
    )
    assert file.input_names == [
        f"{tmp_path}/raw",
        f"{tmp_path}/*_uncal.fits",
        "/else/where.fits",
    ]
    assert file.located(file.output) == tmp_path / "out"
    assert file.config_files == {"calwebb_image3": f"{tmp_path}/mine.asdf"}
    assert file.options()["pool"] == tmp_path / "pool.csv"


def test_campaign_file_stands_alone():
    assert campaign_file_among(["a.fits", "b.fits"]) is None
    assert campaign_file_among(["campaign.toml"]) == Path("campaign.toml")
    with pytest.raises(UsageError, match=r"campaign\.toml: .* leave a\.fits out"):
        campaign_file_among(["campaign.toml", "a.fits"])


def test_schema_for_editors_is_that_of_the_files():
    published = json.loads((ROOT / "docs/campaign.schema.json").read_text())
    assert published == CampaignFile.model_json_schema()

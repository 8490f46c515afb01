"""Where a parameter's value comes from, and what is said when it is no good."""

from pathlib import Path

import pytest
from crds.core import utils
from lantern.model import Row
from lantern.pipelines import CalibratePipeline, NightPipeline
from lantern.steps import ClipStep, DarkStep, LanternStep

from stpipe_prefect import Step
from stpipe_prefect.exceptions import InputError, ParameterError, ReferenceFileError
from stpipe_prefect.parameters.files import load_config_file


class ShapeStep(LanternStep):
    spec = """
    radius = float(min=0)            # How far (in pixels)
    catalogue = input_file(default=None)
    table = output_file(default=None)
    mask = is_datamodel(default=None)
    [fit]
    order = integer(1, 5, default=2)
    """

    def process(self, *args):
        return None


def test_spec_is_inherited_and_declared_anew():
    class WideStep(ClipStep):
        spec = "high = float(default=1000.0)  # higher"

    spec = WideStep.load_spec_file()
    assert spec["high"] == "float(default=1000.0)"
    assert spec["low"] == "float(default=0.0)"
    assert spec["output_ext"] == "string(default='.row')"
    assert WideStep(low=1).get_pars(full_spec=False) == {"high": 1000.0}


def test_spec_in_a_file_beside_the_class(tmp_path):
    (tmp_path / "beside.py").write_text(
        "from lantern.steps import LanternStep\nclass FileStep(LanternStep):\n    pass\n"
    )
    (tmp_path / "FileStep.spec").write_text("depth = integer(default=3)  # How deep\n")
    (tmp_path / "pars.cfg").write_text("class = beside.FileStep\ndepth = 5\n")
    assert Step.from_config_file(tmp_path / "pars.cfg").depth == 5


def test_spec_that_is_none():
    class BrokenStep(LanternStep):
        spec = "this is no specification"

    with pytest.raises(ParameterError, match="BrokenStep: its spec cannot be read"):
        BrokenStep()


def test_spec_of_unknown_type():
    class OddStep(LanternStep):
        spec = "odd = evenish(default=2)"

    with pytest.raises(ParameterError, match=r"OddStep: odd: its specification evenish\(default=2"):
        OddStep()


def test_overrides_are_parameters():
    spec = CalibratePipeline.load_spec_file()
    assert spec["steps"]["dark"]["override_dark"] == "is_string_or_datamodel(default=None)"
    assert "reference file" in spec["steps"]["dark"].inline_comments["override_dark"]

    class HyphenStep(LanternStep):
        reference_file_types = ("pars-x",)

    with pytest.raises(ParameterError, match="'pars-x' is not a reference type"):
        HyphenStep()


def test_print_configs(capfdbinary):
    ClipStep.print_configs()
    ClipStep.print_configspec()
    printed = capfdbinary.readouterr().out
    assert printed.count(b"high = float(default=100.0)# No pixel above\n") == 2


def test_text_is_read_as_the_type_asked_for():
    step = ShapeStep(radius="2.5", fit={"order": "3"}, skip="yes")
    assert (step.radius, step.fit["order"], step.skip) == (2.5, 3, True)


def test_paths_start_beside_the_parameter_file(tmp_path, monkeypatch):
    (tmp_path / "stars.cat").write_text("")
    (tmp_path / "pars.cfg").write_text("radius = 1\ncatalogue = stars.cat\ntable = made/by.ecsv\n")
    monkeypatch.chdir("/")
    step = ShapeStep.from_config_file(tmp_path / "pars.cfg")
    assert step.catalogue == str(tmp_path / "stars.cat")
    assert step.table == str(tmp_path / "made/by.ecsv") and (tmp_path / "made").is_dir()
    assert step.resolve_file_name("other.txt") == str(tmp_path / "other.txt")
    assert step.name == "pars"


def test_everything_that_is_wrong_is_named_in_one_line_each():
    with pytest.raises(ParameterError) as caught:
        ShapeStep(
            "shape",
            radias=1,
            radius=-1,
            fit={"order": 9, "ordr": 1},
            mask="text",
            catalogue="nowhere.cat",
            skip=[1],
        )
    lines = str(caught.value).splitlines()
    assert lines == [
        "shape: there is no parameter 'radias' (did you mean 'radius'?)",
        "shape: skip = [1] is not allowed: expected boolean(default=False)",
        "shape: radius = -1 is not allowed: expected float(min=0)",
        f"shape: catalogue = 'nowhere.cat': there is no such file: {Path.cwd() / 'nowhere.cat'}",
        "shape: mask = 'text' is not allowed: expected is_datamodel(default=None)",
        "shape: there is no parameter 'fit.ordr' (did you mean 'order'?)",
        "shape: fit.order = 9 is not allowed: expected integer(1, 5, default=2)",
    ]


def test_what_is_required():
    with pytest.raises(
        ParameterError, match=r"ShapeStep: radius is missing: expected float\(min=0\)"
    ):
        ShapeStep()


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"clap": {}}, "there is no step 'steps.clap' (did you mean 'clip'?)"),
        ({"clip": {"hihg": 1}}, "there is no parameter 'steps.clip.hihg' (did you mean 'high'?)"),
        ({"clip": 5}, "steps.clip is a section: give its parameters as steps.clip.<parameter>"),
        ("clip", "steps is a section: give its parameters as steps.<parameter>"),
    ],
)
def test_what_is_wrong_in_a_pipeline(steps, message):
    with pytest.raises(ParameterError) as caught:
        CalibratePipeline(steps=steps)
    assert f"CalibratePipeline: {message}" in str(caught.value).splitlines()


def test_a_data_model_may_be_a_value():
    row = Row([1.0])
    pipeline = CalibratePipeline(steps={"dark": {"override_dark": row}})
    assert pipeline.dark.override_dark is row


@pytest.fixture
def layers(mission):
    """Set ``clip.high`` in the layers that are files of the user's, to 5 and 6."""
    (mission / "nested.cfg").write_text("high = 5\n")
    (mission / "pars.cfg").write_text("[steps]\n[[clip]]\nconfig_file = nested.cfg\n")
    (mission / "both.cfg").write_text("[steps]\n[[clip]]\nhigh = 6\nconfig_file = nested.cfg\n")


def test_layers_of_the_code():
    assert ClipStep().low == 0.0
    assert CalibratePipeline().clip.low == 1.0  # declared anew by the pipeline
    assert NightPipeline().clip.low == 0.0


def test_crds_layers_of_the_mission(mission):
    config, _ = CalibratePipeline.build_config("one_raw.row")
    clip = CalibratePipeline.from_config_section(config).clip
    assert (clip.low, clip.high, clip.method) == (1.0, 30.0, "zero")
    config, _ = NightPipeline.build_config("one_raw.row")
    assert NightPipeline.from_config_section(config).clip.high == 40.0  # of the step alone


@pytest.mark.parametrize(
    ("given", "high"),
    [
        ({}, 30.0),
        ({"config_file": "pars.cfg"}, 5.0),
        ({"config_file": "both.cfg"}, 6.0),
        ({"config_file": "both.cfg", "steps": {"clip": {"high": 7}}}, 7.0),
        ({"steps": {"clip": {"config_file": "nested.cfg"}}}, 5.0),
    ],
)
def test_layers_of_the_user_over_those_of_crds(layers, given, high):
    config, config_file = CalibratePipeline.build_config("one_raw.row", **given)
    assert CalibratePipeline.from_config_section(config, config_file=config_file).clip.high == high


def test_nested_file_of_another_step(mission):
    (mission / "other.cfg").write_text("name = flat\nhigh = 3\n")
    with pytest.raises(ParameterError, match="is for a step 'flat', but given for 'clip'"):
        CalibratePipeline.build_config(None, steps={"clip": {"config_file": "other.cfg"}})


def test_nested_files_of_a_pipeline_of_pipelines(mission):
    (mission / "deep").mkdir()
    (mission / "deep/calibrate.cfg").write_text("[steps]\n[[clip]]\nconfig_file = clip.cfg\n")
    (mission / "deep/clip.cfg").write_text("high = 3\n")
    config, _ = NightPipeline.build_config(
        None, steps={"calibrate": {"config_file": "deep/calibrate.cfg"}}
    )
    assert NightPipeline.from_config_section(config).calibrate.clip.high == 3.0


@pytest.mark.parametrize("place", ["keywords", "constructor", "file", "file in a folder"])
def test_file_for_a_step_of_a_nested_pipeline(mission, place):
    (mission / "clip.cfg").write_text("high = 3\n")
    given = {"calibrate": {"steps": {"clip": {"config_file": "clip.cfg"}}}}
    inline = "[steps]\n[[calibrate]]\n[[[steps]]]\n[[[[clip]]]]\nconfig_file = clip.cfg\n"
    if place == "keywords":
        config, _ = NightPipeline.build_config(None, steps=given)
        night = NightPipeline.from_config_section(config)
    elif place == "constructor":
        night = NightPipeline(steps=given)
    else:
        folder = mission / ("deep" if "folder" in place else "")
        folder.mkdir(exist_ok=True)
        (folder / "night.cfg").write_text(inline)
        (mission / "clip.cfg").replace(folder / "clip.cfg")  # names start beside the naming file
        night = NightPipeline.from_config_file(folder / "night.cfg")
    assert night.calibrate.clip.high == 3.0


def test_paths_are_as_good_as_text(mission):
    class FilesStep(ClipStep):
        reference_file_types = ("dark",)
        spec = "catalog = string(default=None)\nothers = list(default=list())"

    (mission / "clip.cfg").write_text("high = 3\n")
    file = mission / "mine.json"
    file.write_text("7.0")
    config, config_file = FilesStep.build_config(None, config_file=mission / "clip.cfg")
    given = {"catalog": file, "others": (file,), "override_dark": file}
    step = FilesStep.from_config_section(config | given, config_file=config_file)
    assert step.high == 3.0
    assert (step.catalog, step.others) == (str(file), [str(file)])
    assert step.get_reference_file("one_raw.row", "dark") == str(file)
    step.override_dark = file.relative_to(mission)
    step.catalog = file
    assert step.get_reference_file("one_raw.row", "dark") == str(file)
    step.others = (file,)
    assert step.get_pars()["catalog"] == str(file)
    step.export_config("exported.asdf")
    assert load_config_file("exported.asdf")["others"] == [str(file)]
    night = NightPipeline(
        steps={"calibrate": {"steps": {"clip": {"config_file": mission / "clip.cfg"}}}}
    )
    assert night.calibrate.clip.high == 3.0


def test_file_that_a_step_was_exported_to_is_for_that_step_in_a_pipeline(mission):
    ClipStep(high=3.0).export_config("clip.asdf")
    CalibratePipeline(steps={"clip": {"high": 4.0}}).clip.export_config("of_pipeline.asdf")
    for file, high in (("clip.asdf", 3.0), ("of_pipeline.asdf", 4.0)):
        config, _ = CalibratePipeline.build_config(None, steps={"clip": {"config_file": file}})
        assert CalibratePipeline.from_config_section(config).clip.high == high
    with pytest.raises(ParameterError, match="is for a step 'ClipStep', but given for 'dark'"):
        CalibratePipeline.build_config(None, steps={"dark": {"config_file": "clip.asdf"}})


def test_parameters_from_crds_switched_off(mission, monkeypatch):
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
    assert ClipStep.build_config("one_raw.row")[0] == {}
    assert ClipStep.build_config("not even there")[0] == {}
    monkeypatch.delenv("STPIPE_DISABLE_CRDS_STEPPARS")
    assert ClipStep.get_config_from_reference("one_raw.row", disable=True) == {}
    off = CalibratePipeline.get_config_from_reference("one_raw.row", disable=True)
    assert off == {"steps": {}}
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
    assert ClipStep.get_config_from_reference("one_raw.row", disable=False)["high"] == 40.0
    monkeypatch.delenv("STPIPE_DISABLE_CRDS_STEPPARS")
    assert ClipStep.get_config_from_reference("one_raw.row")["high"] == 40.0


def test_what_crds_matches_on_may_be_given(mission):
    matching = Row([1.0]).get_crds_parameters()
    config = ClipStep.get_config_from_reference(matching, crds_observatory="jwst")
    assert config["high"] == 40.0
    with pytest.raises(ValueError, match="crds_observatory"):
        ClipStep.get_config_from_reference(matching)


@pytest.mark.parametrize("content", [None, "", '{"data": [1'])
def test_input_that_cannot_be_read_is_an_error(mission, content):
    if content is not None:
        Path("bad_raw.row").write_text(content)
    with pytest.raises(
        InputError, match=r"bad_raw.row cannot be read as an exposure: .*STPIPE_DIS"
    ):
        ClipStep.call("bad_raw.row")


def test_data_that_crds_knows_nothing_about_need_no_parameters(mission, lantern_cache):
    matching = Row([1.0]).get_crds_parameters()
    unknown = matching | {"meta.instrument.name": "LANTERN"}
    unnamed = {k: v for k, v in matching.items() if k != "meta.instrument.name"}
    for parameters in (unknown, unnamed):
        assert ClipStep.get_config_from_reference(parameters, crds_observatory="jwst") == {}
    mapping = lantern_cache / "mappings/jwst/jwst_nircam_pars-clipstep_0001.rmap"
    content = mapping.read_text()
    mapping.write_text(content + "damaged")
    utils.clear_function_caches()
    try:
        with pytest.raises(ReferenceFileError, match=r"pmap cannot select references"):
            ClipStep.get_config_from_reference(matching, crds_observatory="jwst")
    finally:
        mapping.write_text(content)


def test_input_that_is_no_data_model_needs_no_parameters(mission, caplog):
    class AnyStep(LanternStep):
        @classmethod
        def _datamodels_open(cls, init, **kwargs):
            raise TypeError("what is that?")

        def process(self, number):
            return number

    assert AnyStep.call(7, configure_log=False) == 7
    assert "not a data model" in caplog.text


def test_missing_parameter_file_of_crds_is_an_error(mission, lantern_cache):
    file = lantern_cache / "references/jwst/nircam/jwst_nircam_pars-clipstep_0001.asdf"
    aside = file.rename(file.with_suffix(".aside"))
    try:
        with pytest.raises(
            ReferenceFileError, match="pars-clipstep reference jwst_nircam_pars-clip"
        ):
            ClipStep.call("one_raw.row")
        file.write_text("#ASDF 1.0.0\n%YAML 1.1\n--- [\n")
        with pytest.raises(ReferenceFileError, match=r"pars-clipstep reference .* is damaged"):
            ClipStep.call("one_raw.row")
    finally:
        aside.rename(file)


def test_update_pars_ignores_what_it_does_not_know():
    pipeline = CalibratePipeline()
    pipeline.update_pars({"colour": "red", "suffix": "new", "steps": {"clip": {"high": 3.0}}})
    assert not hasattr(pipeline, "colour")
    assert (pipeline.suffix, pipeline.clip.high) == ("new", 3.0)


def test_class_in_a_parameter_file_has_to_fit(tmp_path):
    (tmp_path / "pars.cfg").write_text("class = lantern.steps.DarkStep\nname = mine\nscale = 2\n")
    step = LanternStep.from_config_file(tmp_path / "pars.cfg")
    assert (type(step), step.name, step.scale) == (DarkStep, "mine", 2.0)
    with pytest.raises(TypeError, match=r"lantern.steps.DarkStep, which is not a ClipStep"):
        ClipStep.from_config_file(tmp_path / "pars.cfg")


def test_from_config_section_leaves_its_argument_alone():
    config = {"name": "mine", "high": "5"}
    assert ClipStep.from_config_section(config).name == "mine"
    assert config == {"name": "mine", "high": "5"}

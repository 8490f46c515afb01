"""Reference files: selected, given in their stead, recorded, fetched in advance."""

import json

import pytest
from crds.core.exceptions import CrdsLookupError
from lantern.model import Row
from lantern.pipelines import CalibratePipeline, NightPipeline
from lantern.steps import DarkStep, FlatStep, LanternStep

from stpipe_prefect import Step
from stpipe_prefect.exceptions import ReferenceFileError


def test_selected_by_the_data(mission, lantern_cache):
    step = DarkStep()
    path = step.get_reference_file(Row([1.0], detector="NRCB2"), "dark")
    assert path == str(lantern_cache / "references/jwst/nircam/jwst_nircam_dark_0002.json")
    assert step.get_reference_file("one_raw.row", "dark").endswith("_0001.json")
    assert step._reference_files_used == [
        ("dark", "crds://jwst_nircam_dark_0002.json"),
        ("dark", "crds://jwst_nircam_dark_0001.json"),
    ]


def test_not_applicable(mission):
    row = FlatStep().run(Row([1.0], detector="NRCB2"))
    assert row.meta.cal_step.flat == "SKIPPED"
    assert row.meta.references == {"flat": "N/A"}


def test_no_rule_is_an_error_that_steps_can_catch(mission):
    with pytest.raises(ReferenceFileError, match="selects no dark reference") as caught:
        DarkStep().get_reference_file(Row([1.0], detector="NRCA5"), "dark")
    assert isinstance(caught.value, CrdsLookupError)


def test_given_as_a_file(mission):
    (mission / "mine.json").write_text("7.0")
    step = DarkStep(override_dark="mine.json")
    row = step.run("one_raw.row")
    assert row.data[1] == 3.0
    assert row.meta.references == {"dark": str(mission / "mine.json")}
    step.override_dark = "gone.json"
    with pytest.raises(ReferenceFileError, match=r"Reference file .*gone.json cannot be read"):
        step.run("one_raw.row")


def test_given_as_a_model(mission):
    dark = Row([4.0])
    row = DarkStep(override_dark=dark).run("one_raw.row")
    assert row.data[1] == 6.0
    assert row.meta.references == {"dark": "override://Row"}
    dark.override_handle = "override://mine.row"
    assert DarkStep(override_dark=dark).run("one_raw.row").meta.references == {
        "dark": "override://mine.row"
    }


def test_given_as_a_crds_uri(mission):
    row = DarkStep(override_dark="crds://jwst_nircam_dark_0002.json").run("one_raw.row")
    assert row.data[1] == 8.0
    assert row.meta.references == {"dark": "crds://jwst_nircam_dark_0002.json"}
    with pytest.raises(ReferenceFileError, match=r"jwst_nircam_dark_0009\.json"):
        DarkStep(override_dark="crds://jwst_nircam_dark_0009.json").run("one_raw.row")


@pytest.mark.parametrize(("override", "path"), [("N/A", "N/A"), (" N/A ", "N/A"), ("", "")])
def test_given_as_none(mission, override, path):
    step = FlatStep(override_flat=override)
    assert step.get_reference_file("one_raw.row", "flat") == path
    assert step._reference_files_used == ([("flat", "N/A")] if path else [])


def test_where_a_uri_is_in_the_cache(mission, lantern_cache):
    path = Step.reference_uri_to_cache_path("crds://jwst_nircam_dark_0001.json", "jwst")
    assert path == str(lantern_cache / "references/jwst/nircam/jwst_nircam_dark_0001.json")
    with pytest.raises(ReferenceFileError, match="expected crds://"):
        Step.reference_uri_to_cache_path("jwst_nircam_dark_0001.json", "jwst")


def test_a_pipeline_collects_what_its_steps_need():
    pipeline = CalibratePipeline()
    assert pipeline.reference_file_types == ["dark", "flat"]
    assert NightPipeline().reference_file_types == ["dark", "flat"]
    pipeline.flat.skip = True
    assert pipeline.reference_file_types == ["dark"]
    pipeline.dark.override_dark = "/mine.json"
    assert pipeline.get_ref_override("dark") == "/mine.json"
    assert pipeline.get_ref_override("flat") is None


def test_a_pipeline_fetches_in_advance(mission, lantern_cache, caplog):
    with caplog.at_level("INFO"):
        CalibratePipeline(steps={"flat": {"override_flat": "one_raw.row"}}).prefetch("one_raw.row")
    assert "dataset: 'one_raw.row' reftypes = ['dark']" in caplog.text
    assert f"Override for FLAT reference file is '{mission / 'one_raw.row'}'" in caplog.text
    file = lantern_cache / "references/jwst/nircam/jwst_nircam_dark_0001.json"
    content = file.read_text()
    file.unlink()
    try:
        with pytest.raises(ReferenceFileError, match=r"dark reference jwst_nircam_dark_0001"):
            CalibratePipeline().run("one_raw.row")
    finally:
        file.write_text(content)


def test_nothing_is_fetched_for_what_crds_does_not_know(mission, caplog):
    with caplog.at_level("INFO"):
        CalibratePipeline().prefetch("nowhere.row")
        CalibratePipeline().prefetch()
    assert "No references can be fetched in advance for nowhere.row" in caplog.text


def test_parameters_of_the_first_of_several(mission):
    matching = ({"meta.instrument.detector": "NRCB2"}, "jwst")
    rows = [Row([1.0], detector="NRCB2"), Row([1.0])]
    assert LanternStep._get_crds_parameters(rows)[0].items() >= matching[0].items()


def test_of_an_association_only_the_first_science_member_is_opened(tmp_path):
    options = {}

    class AssociationStep(LanternStep):
        @classmethod
        def _datamodels_open(cls, init, **kwargs):
            options.update(kwargs)
            return [Row([1.0])]

    (tmp_path / "asn.json").write_text(json.dumps({}))
    assert AssociationStep._get_crds_parameters(str(tmp_path / "asn.json"))[1] == "jwst"
    assert options == {"asn_n_members": 1, "asn_exptypes": ["science"]}


def test_a_mission_has_to_say_how_to_open_its_data():
    with pytest.raises(NotImplementedError, match="Step does not define _datamodels_open"):
        Step._get_crds_parameters("file")

"""What a run opens, and how it is known to be the same another time."""

import json
from pathlib import Path

import numpy as np
import pytest
from lantern.model import Row
from lantern.pipelines import CalibratePipeline
from lantern.steps import ClipStep, LanternStep

from stpipe_prefect import as_flow
from stpipe_prefect.exceptions import InputError
from stpipe_prefect.provenance.fingerprint import content_of_model
from stpipe_prefect.provenance.inputs import (
    first_exposure,
    input_contents,
    input_files,
    opened_input,
)
from stpipe_prefect.provenance.record import find_record, run_name

pytestmark = pytest.mark.filterwarnings("default::Warning")  # Prefect's own


class AddStep(LanternStep):
    """Adds up the members of an association, opened as jwst's pipelines of stage 2 do."""

    class_alias = "lantern_add"
    spec = """
    catalog = string(default=None)
    catalogs = list(default=list())
    """

    @classmethod
    def _datamodels_open(cls, init, **kwargs):
        if str(init).endswith(".json"):
            init = json.loads(Path(init).read_text())["products"][0]["members"][0]["expname"]
        return super()._datamodels_open(init, **kwargs)

    def process(self, association):
        product = json.loads(Path(association).read_text())["products"][0]
        rows = [self.open_model(member["expname"]) for member in product["members"]]
        return Row([sum(pixels) for pixels in zip(*(row.data for row in rows), strict=True)])


class CatalogueStep(LanternStep):
    """Multiplies by what a file says."""

    class_alias = "lantern_factor"
    spec = """
    catalog = string(default=None)
    """

    def process(self, data):
        row = self.open_model(data)
        row.data = [pixel * float(Path(self.catalog).read_text()) for pixel in row.data]
        return row


def associate(path, *members, **more):
    path.parent.mkdir(exist_ok=True)
    listed = [{"expname": name, "exptype": "science", **more} for name in members]
    path.write_text(json.dumps({"products": [{"name": "sum", "members": listed}]}))
    return str(path)


@pytest.fixture
def changed_model(small):
    """The raw exposure, open, and what changes it."""
    from stdatamodels.jwst import datamodels

    with datamodels.open(small.program.exposures[0]) as model:
        yield model


def test_model_is_known_by_its_content(changed_model, small, tmp_path):
    from stdatamodels.jwst import datamodels

    def content(model):
        ((content,), opaque) = input_contents(model, tmp_path, {})
        assert opaque == []
        return content.sha256

    first = content(changed_model)
    with datamodels.open(small.program.exposures[0]) as again:
        again.meta.date = "2026-11-26T00:00:00"
        assert content(again) == first
    changed_model.data[0, 0, 3, 3] += 1
    second = content(changed_model)
    changed_model.meta.instrument.filter = "F150W"
    assert len({first, second, content(changed_model)}) == 3


def test_run_on_a_library_is_named_after_its_product(calibrated_small, tmp_path):
    from jwst.datamodels import ModelLibrary

    members = [{"expname": calibrated_small[0].save(str(tmp_path / "0_cal.fits"))}]
    members[0] |= {"exptype": "science"}
    table = {"asn_id": "a1", "asn_pool": "p", "products": [{"name": "mosaic", "members": members}]}
    library = ModelLibrary(table)
    assert run_name(library, "image3") == run_name(table, "image3") == "mosaic.image3"


def test_models_of_a_library_are_looked_at_and_given_back(calibrated_small, tmp_path):
    from jwst.datamodels import ModelLibrary

    library = ModelLibrary(calibrated_small, on_disk=False)
    contents, opaque = input_contents(library, tmp_path, {})
    assert (len(contents), opaque) == (3, [])  # the association comes first
    with library:
        model = library.borrow(1)
        model.data = np.asarray(model.data) * 2
        library.shelve(model, 1)
    changed, _ = input_contents(library, tmp_path, {})
    same = [a.sha256 == b.sha256 for a, b in zip(contents, changed, strict=True)]
    assert same == [True, True, False]


@pytest.fixture
def calibrated_small(small):
    """Two small images with a WCS, as image3 takes them."""
    from astropy import units
    from astropy.coordinates import ICRS
    from astropy.modeling.models import Identity
    from gwcs import WCS, coordinate_frames
    from stdatamodels.jwst.datamodels import ImageModel

    models = []
    for number in range(2):
        model = ImageModel(np.full((4, 4), float(number)))
        frames = (
            coordinate_frames.Frame2D(name="detector", unit=(units.pix, units.pix)),
            coordinate_frames.CelestialFrame(reference_frame=ICRS(), name="world"),
        )
        model.meta.wcs = WCS([(frames[0], Identity(2)), (frames[1], None)])
        model.meta.filename = f"{number}_cal.fits"
        model.meta.observation.observation_number = str(number)
        model.meta.observation.program_number = "01234"
        models.append(model)
    return models


@pytest.mark.usefixtures("mission", "prefect_server")
def test_changed_model_is_calibrated_anew():
    row = Row([1.0, 10.0, 50.0, 100.0], filename="mem_raw.row")
    flow = as_flow(CalibratePipeline)

    def outcome(data):
        return flow(data, output_dir="out", return_state=True).name

    assert outcome(row) == "Completed"
    row = Row([1.0, 10.0, 50.0, 100.0], filename="mem_raw.row")
    assert outcome(row) == "Cached"
    row.data[0] = 2.0
    assert outcome(row) == "Completed"
    record = find_record(Path("out/mem_cal.row"))
    assert [Path(file.path).name for file in record.dependencies.inputs] == ["mem_raw.row"]


@pytest.mark.usefixtures("mission", "prefect_server")
def test_model_that_cannot_be_compared_is_calibrated_every_time(monkeypatch):
    monkeypatch.delattr(Row, "to_flat_dict")
    flow = as_flow(ClipStep)
    for _ in range(2):
        row = Row([1.0], filename="mem_raw.row")
        assert flow(row, output_dir="out", return_state=True).name == "Completed"


def test_members_are_those_beside_the_association_first(tmp_path, monkeypatch):
    for folder in ("beside", "out", "here"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    association = associate(tmp_path / "beside/a.json", "x.row", "y.row", "z.row", "s3://b/m.row")
    for place in ("here/x.row", "beside/x.row", "out/y.row", "here/y.row", "here/z.row"):
        (tmp_path / place).touch()
    with opened_input(association, tmp_path / "out") as opened:
        members = json.loads(Path(opened).read_text())["products"][0]["members"]
        assert Path(opened).name == "a.json"
    places = [str(tmp_path / place) for place in ("beside/x.row", "out/y.row", "here/z.row")]
    assert [member["expname"] for member in members] == [*places, "s3://b/m.row"]
    assert [str(path) for path in input_files(association, tmp_path / "out")[1:]] == places


def test_absent_members_are_named(tmp_path):
    association = associate(tmp_path / "a.json", "a.row", "b.row", "c.row")
    with (
        pytest.raises(FileNotFoundError) as caught,
        opened_input(association, tmp_path / "out"),
    ):
        pass
    assert str(caught.value) == (
        f"{association}: its member a.row is neither beside it nor in {tmp_path / 'out'}, "
        "nor are 2 more"
    )


def test_no_association(tmp_path):
    (tmp_path / "a.json").write_text('{"products": [{"members": [5]}]}')
    with pytest.raises(InputError, match="not an association"):
        input_files(tmp_path / "a.json", tmp_path)


@pytest.mark.usefixtures("mission", "prefect_server")
def test_record_names_the_members_that_were_opened():
    association = associate(Path("there/sum.json"), "one.row", "two.row")
    for folder, factor in (("there", 1.0), ("", 10.0)):
        Row([1.0 * factor, 2.0]).save(str(Path(folder, "one.row")))
        Row([3.0 * factor, 4.0]).save(str(Path(folder, "two.row")))
    (product,) = as_flow(AddStep)(association, output_dir="out")
    assert Row.open(product).data == [4.0, 6.0]
    record = find_record(Path(product))
    assert [file.path for file in record.dependencies.inputs] == [
        str(Path("there", name).absolute()) for name in ("sum.json", "one.row", "two.row")
    ]
    plan = as_flow(AddStep).plan
    assert plan(association, output_dir="out").is_up_to_date
    Row([7.0, 2.0]).save("there/one.row")
    assert plan(association, output_dir="out").reasons == ("input one.row changed",)


@pytest.mark.usefixtures("mission", "prefect_server")
def test_files_that_parameters_and_members_name_count():
    for name in ("one.row", "sky.row"):
        Row([1.0]).save(name)
    association = associate(Path("sum.json"), "one.row", tweakreg_catalog="stars.ecsv")
    names = ("stars.ecsv", "mine.cat", "first.cat", "second.cat")
    for name in names:
        Path(name).write_text("1")
    given = {"catalog": "mine.cat", "catalogs": [Path("first.cat"), "second.cat"]}
    as_flow(AddStep)(association, output_dir="out", **given)

    def reasons():
        return as_flow(AddStep).plan(association, output_dir="out", **given).reasons

    assert reasons() == ()
    Path("stars.ecsv").write_text("2")
    Path("mine.cat").write_text("2")
    Path("second.cat").write_text("2")
    assert reasons() == (
        "input stars.ecsv changed",
        "parameter catalog: mine.cat changed",
        "parameter catalogs: second.cat changed",
    )
    for name in names:
        Path(name).write_text("1")
    assert reasons() == ()


def test_copy_of_an_association_says_where_further_files_are(tmp_path):
    for name in ("x.row", "stars.ecsv"):
        (tmp_path / name).touch()
    association = associate(tmp_path / "a.json", "x.row", tweakreg_catalog="stars.ecsv", note="x")
    with opened_input(association, tmp_path / "out") as opened:
        (member,) = json.loads(Path(opened).read_text())["products"][0]["members"]
    assert member["tweakreg_catalog"] == str(tmp_path / "stars.ecsv")
    assert member["note"] == "x"


def test_members_that_are_opened_by_name_must_be_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    for place in ("there/x.row", "there/cat.ecsv", "here/cat.ecsv"):
        (tmp_path / place).touch()
    monkeypatch.chdir(tmp_path / "here")
    association = Path(associate(tmp_path / "there/a.json", "x.row"))
    table = json.loads(association.read_text())
    table["products"][0]["members"].append({"expname": "cat.ecsv", "exptype": "sourcecat"})
    association.write_text(json.dumps(table))
    with pytest.raises(InputError, match=r"sourcecat is .*there/cat\.ecsv.*run it in .*there"):
        opened_input(association, tmp_path).__enter__()
    monkeypatch.chdir(tmp_path / "there")
    with opened_input(association, tmp_path) as opened:
        assert "there/cat.ecsv" in Path(opened).read_text()


class BesideStep(AddStep):
    """Adds what lies beside the association, and is not named there."""

    class_alias = "lantern_beside"

    def process(self, association):
        row = super().process(association)
        row.data += Row.open(self.make_input_path("more.row")).data
        return row


@pytest.mark.usefixtures("mission", "prefect_server")
def test_what_lies_beside_an_association_is_found_there():
    association = associate(Path("there/sum.json"), "one.row")
    Row([1.0]).save("there/one.row")
    Row([2.0]).save("there/more.row")
    (product,) = as_flow(BesideStep)(association, output_dir="out")
    assert Row.open(product).data == [1.0, 2.0]
    rows = find_record(Path(product)).dependencies.parameters
    assert [row["source"] for row in rows if row["parameter"] == "input_dir"] != ["set in code"]


class ListStep(AddStep):
    """Adds up a list of exposures, or the members of an association that is a dict."""

    class_alias = "lantern_list"

    @classmethod
    def _datamodels_open(cls, init, **kwargs):
        if isinstance(init, dict):
            init = [member["expname"] for member in init["products"][0]["members"]]
        return super()._datamodels_open(init[0] if isinstance(init, list) else init, **kwargs)

    def process(self, data):
        if isinstance(data, dict):
            data = [member["expname"] for member in data["products"][0]["members"]]
        rows = [Row.open(each) for each in data]
        return Row([sum(pixels) for pixels in zip(*(row.data for row in rows), strict=True)])


@pytest.mark.usefixtures("mission", "prefect_server")
def test_files_of_one_name_in_two_folders_both_count():
    files = ["a/x.row", "b/x.row"]
    for file in files:
        Path(file).parent.mkdir()
        Row([1.0]).save(file)
    catalogs = ["a/c.cat", "b/c.cat"]
    for catalog in catalogs:
        Path(catalog).write_text("1")
    as_flow(ListStep)(files, output_dir="out", catalogs=catalogs)

    def reasons():
        return as_flow(ListStep).plan(files, output_dir="out", catalogs=catalogs).reasons

    assert reasons() == ()
    Row([2.0]).save("a/x.row")
    Path("a/c.cat").write_text("2")
    assert reasons() == ("input x.row changed", "parameter catalogs: c.cat changed")


@pytest.mark.usefixtures("mission", "prefect_server")
def test_what_an_association_says_counts_also_if_it_is_a_dict():
    association = json.loads(Path(associate(Path("sum.json"), "one_raw.row")).read_text())
    plan = as_flow(ListStep).plan
    as_flow(ListStep)(association, output_dir="out")
    assert plan(association, output_dir="out").is_up_to_date
    association["products"][0]["members"][0]["exptype"] = "background"
    assert plan(association, output_dir="out").reasons == ("input sum changed",)


@pytest.mark.usefixtures("mission", "prefect_server")
def test_file_without_a_dot_in_its_name_counts():
    Path("catalog").write_text("1")
    Row([1.0]).save("one.row")
    association = associate(Path("sum.json"), "one.row")
    as_flow(AddStep)(association, output_dir="out", catalog="catalog")
    Path("catalog").write_text("2")
    plan = as_flow(AddStep).plan(association, output_dir="out", catalog="catalog")
    assert plan.reasons == ("parameter catalog: catalog changed",)


def test_first_science_exposure_speaks_for_an_input(tmp_path):
    association = Path(associate(tmp_path / "a.json", "sky.row", "x.row"))
    table = json.loads(association.read_text())
    table["products"][0]["members"][0]["exptype"] = "background"
    association.write_text(json.dumps(table))
    for name in ("sky.row", "x.row"):
        (tmp_path / name).touch()
    assert first_exposure(association, tmp_path) == str(tmp_path / "x.row")
    assert first_exposure(["a.row", "b.row"], tmp_path) == "a.row"


def test_order_of_pixels_in_memory_is_no_content(tmp_path):
    class Model:
        def __init__(self, data, date):
            self.data, self.date = data, date

        def to_flat_dict(self):
            return {"roman.meta.file_date": self.date, "roman.data": self.data}

    pixels = np.arange(12.0).reshape(3, 4)
    first = content_of_model(Model(pixels, "1"), "a")
    assert content_of_model(Model(np.asfortranarray(pixels), "2"), "a") == first
    assert content_of_model(Model(pixels + 1, "1"), "a") != first


class CataloguePipeline(CalibratePipeline):
    """Has a step with a parameter that names a file."""

    class_alias = "lantern_catalogue"
    step_defs = {**CalibratePipeline.step_defs, "flat": CatalogueStep}


@pytest.mark.usefixtures("mission", "prefect_server")
def test_checkpoint_made_with_another_catalogue_is_not_resumed(monkeypatch, tmp_path):
    monkeypatch.setenv("STPIPE_PREFECT_CHECKPOINTS", str(tmp_path / "checkpoints"))
    given = {"checkpoint": ["flat"], "steps": {"flat": {"catalog": "one.cat"}}}
    made = []
    for factor in ("1", "3"):
        Path("one.cat").write_text(factor)
        (product,) = as_flow(CataloguePipeline)("one_raw.row", output_dir="out", **given)
        made.append(Row.open(product).data)
    assert made[0] != made[1]

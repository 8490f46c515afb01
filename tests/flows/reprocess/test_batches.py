"""What is calibrated together, where only so many may be."""

from flows.calibrate.job import Job
from flows.calwebb.mission import JWST
from flows.reprocess.flow import _batches
from flows.reprocess.summary import Summary
from flows.reprocess.survey import Item, survey
from stpipe_prefect.provenance.plans import Plan

REASON = "reference flat 0001 → 0002"


def test_exposure_brings_the_association_that_takes_its_rates(tmp_path):
    def item(name, pipeline, *needs):
        (tmp_path / name).touch()
        plan = Plan(name, pipeline, (REASON,))
        needed = frozenset(tmp_path / each for each in needs)
        left = ("rate", "cal") if pipeline == "calwebb_detector1" else ("",)
        job = Job(tmp_path / name, (pipeline,), left, needs=needed, plans=(plan,))
        return Item(job, JWST, "jwst_0001.pmap")

    items = [
        item("a_uncal.fits", "calwebb_detector1"),
        item("b_uncal.fits", "calwebb_detector1"),
        item("a_asn.json", "calwebb_image2", "a_uncal.fits"),
        item("b_asn.json", "calwebb_image2", "b_uncal.fits"),
        item("m_asn.json", "calwebb_image3", "a_asn.json", "b_asn.json"),
    ]
    batch = next(_batches(Summary(items), 1))
    assert [each.input.name for each in batch] == ["a_uncal.fits", "a_asn.json"]
    assert next(_batches(Summary(items), None)) == items


def test_inputs_of_one_product_are_refused_each_and_the_survey_goes_on(tmp_path, crds):
    from astropy.io import fits

    header = fits.Header({"TELESCOP": "JWST", "EXP_TYPE": "NRC_IMAGE"})
    names = ["jw01234_a_uncal.fits", "jw01234_a_rate.fits"]
    for name in names:
        hdus = [fits.PrimaryHDU(header=header), fits.ImageHDU(name="ASDF")]
        fits.HDUList(hdus).writeto(tmp_path / name)
    (tmp_path / "list.txt").write_text("\n".join(names))
    items = [*survey([tmp_path / "list.txt"], "jwst_0001.pmap")]
    assert all("products would overwrite those of" in item.error for item in items)
    assert sorted(item.input.name for item in items) == sorted(names)

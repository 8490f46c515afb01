"""A product has one maker in a run, and who takes it waits for that one."""

import json

import pytest
from astropy.io import fits

from flows.calibrate.inputs import find_inputs
from flows.calibrate.jobs import check_output_files, plan_jobs
from flows.calwebb.mission import JWST
from stpipe_prefect.exceptions import UsageError

pytest.importorskip("jwst")


@pytest.fixture
def exposure(tmp_path):
    """Write what little of an exposure is looked at before it is calibrated."""

    def make(name, exp_type="NRC_IMAGE"):
        header = fits.Header({"TELESCOP": "JWST", "EXP_TYPE": exp_type})
        hdus = [fits.PrimaryHDU(header=header), fits.ImageHDU(name="ASDF")]
        fits.HDUList(hdus).writeto(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def associate(tmp_path):
    """Write an association: of science members, and others by name."""

    def make(name, product, *science, asn_type="None", asn_rule="", asn_id="o001", **others):
        members = [{"expname": each, "exptype": "science"} for each in science]
        members += [{"expname": each, "exptype": kind} for kind, each in others.items()]
        table = {"asn_type": asn_type, "asn_rule": asn_rule, "asn_id": asn_id}
        products = [{"name": product, "members": members}]
        (tmp_path / name).write_text(json.dumps({**table, "products": products}))
        return tmp_path / name

    return make


def planned(*paths, **options):
    """The graph: pipelines and needs of each input, in order."""
    jobs, refused = plan_jobs(paths, JWST, **options)
    assert refused == {}
    needs = {job.input.name: {path.name for path in job.needs} for job in jobs}
    return {
        job.input.name: (
            [name.removeprefix("calwebb_") for name in job.pipelines],
            sorted(needs[job.input.name]),
        )
        for job in jobs
    }


def test_stage_3_waits_for_stage_2_associations_which_alone_calibrate_their_members(
    exposure, associate, tmp_path
):
    raw = [exposure(f"{name}_nrcb1_uncal.fits") for name in ("a", "b", "sky")]
    rates = [f"{name}_nrcb1_rate.fits" for name in ("a", "b", "sky")]
    three = associate(
        "3_asn.json", "mosaic", "a_nrcb1_cal.fits", "b_nrcb1_cal.fits", asn_type="image3"
    )
    twos = [
        associate(f"{name}_asn.json", f"{name}_nrcb1", rate, asn_type="image2", background=rates[2])
        for name, rate in zip("ab", rates, strict=False)
    ]
    expected = {
        **{path.name: (["detector1"], []) for path in raw},
        "a_asn.json": (["image2"], [raw[0].name, raw[2].name]),
        "b_asn.json": (["image2"], [raw[1].name, raw[2].name]),
        "3_asn.json": (["image3"], ["a_asn.json", "b_asn.json"]),
    }
    graph = planned(*raw, three, *twos)
    assert graph == expected and list(graph)[-1] == "3_asn.json"
    assert planned(*find_inputs([str(tmp_path)], JWST)) == expected


def test_associations_that_are_the_background_of_one_another_need_no_other(exposure, associate):
    raw = [exposure("a_uncal.fits", "NRS_IFU"), exposure("b_uncal.fits", "NRS_IFU")]
    a = associate("a_asn.json", "a", "a_rate.fits", asn_type="spec2", background="b_rate.fits")
    b = associate("b_asn.json", "b", "b_rate.fits", asn_type="spec2", background="a_rate.fits")
    graph = planned(a, b, *raw)
    both = (["spec2"], ["a_uncal.fits", "b_uncal.fits"])
    assert graph["a_asn.json"] == graph["b_asn.json"] == both


def test_rate_that_an_association_takes_is_not_calibrated_by_itself(exposure, associate):
    a, b = exposure("a_rate.fits"), exposure("b_rate.fits")
    two = associate("two_asn.json", "a", "a_rate.fits", asn_type="image2")
    assert planned(a, b, two) == {
        "b_rate.fits": (["image2"], []),
        "two_asn.json": (["image2"], []),
    }


def test_background_whose_own_product_is_needed_is_calibrated_too(exposure, associate):
    raw = [exposure("a_uncal.fits", "MIR_MRS"), exposure("sky_uncal.fits", "MIR_MRS")]
    two = associate("2_asn.json", "a", "a_rate.fits", asn_type="spec2", background="sky_rate.fits")
    three = associate("3_asn.json", "t", "a_cal.fits", asn_type="spec3", background="sky_x1d.fits")
    assert planned(*raw, three, two) == {
        "a_uncal.fits": (["detector1"], []),
        "sky_uncal.fits": (["detector1", "spec2"], []),
        "2_asn.json": (["spec2"], ["a_uncal.fits", "sky_uncal.fits"]),
        "3_asn.json": (["spec3"], ["2_asn.json", "sky_uncal.fits"]),
    }


def test_slitless_spectra_wait_for_the_catalogue_of_their_direct_image(exposure, associate):
    direct, grism = exposure("d_uncal.fits", "NIS_IMAGE"), exposure("g_uncal.fits", "NIS_WFSS")
    others = {
        "direct_image": "field_i2d.fits",
        "sourcecat": "field_cat.ecsv",
        "segmap": "field_segm.fits",
    }
    spectra = associate("spec2_asn.json", "g", "g_rate.fits", asn_type="spec2", **others)
    image = associate("image3_asn.json", "field", "d_cal.fits", asn_type="image3")
    assert planned(spectra, image, grism, direct) == {
        "g_uncal.fits": (["detector1"], []),
        "d_uncal.fits": (["detector1", "image2"], []),
        "image3_asn.json": (["image3"], ["d_uncal.fits"]),
        "spec2_asn.json": (["spec2"], ["g_uncal.fits", "image3_asn.json"]),
    }


def test_a_folder_of_products_gives_no_association_of_what_is_not_there(
    exposure, associate, tmp_path
):
    exposure("b_uncal.fits")
    associate("a_asn.json", "a", "a_rate.fits", asn_type="image2")
    three = associate("b_asn.json", "m", "a_cal.fits", asn_type="image3")
    assert list(find_inputs([str(tmp_path)], JWST)) == [tmp_path / "b_uncal.fits", three]


@pytest.mark.parametrize(
    ("exp_type", "suffix", "rule", "pipeline"),
    [
        ("NRC_IMAGE", "rate", "DMSLevel2bBase", "image2"),
        ("MIR_MRS", "rate", "Asn_Lv2Spec", "spec2"),
        ("MIR_MRS", "rate", "", "spec2"),
        ("NRC_IMAGE", "rateints", "", "image2"),
        ("NRC_IMAGE", "cal", "", "image3"),
        ("NRS_IFU", "cal", "DMS_Level3_Base", "spec3"),
        ("NRC_CORON", "calints", "candidate_Asn_Lv3NRCCoron", "coron3"),
    ],
)
def test_association_without_a_type_goes_by_its_rule_or_else_its_members(
    exposure, associate, exp_type, suffix, rule, pipeline
):
    exposure(f"a_{suffix}.fits", exp_type)
    path = associate("x_asn.json", "x", f"a_{suffix}.fits", asn_rule=rule)
    assert planned(path) == {"x_asn.json": ([pipeline], [])}


@pytest.mark.filterwarnings("ignore:Support for associations as YAML:DeprecationWarning")
def test_what_asn_from_list_writes(exposure, tmp_path):
    from jwst.associations.asn_from_list import asn_from_list
    from jwst.associations.lib.rules_level2_base import DMSLevel2bBase

    exposure("a_rate.fits")
    path = tmp_path / "a_asn.yaml"
    path.write_text(asn_from_list(["a_rate.fits"], rule=DMSLevel2bBase).dump(format="yaml")[1])
    assert planned(path) == {"a_asn.yaml": (["image2"], [])}


@pytest.mark.parametrize(
    ("asn_type", "pipeline"),
    [
        ("tso-image2", "image2"),
        ("tso-spec2", "spec2"),
        ("nrslamp-spec2", "spec2"),
        ("wfs-image2", "image2"),
        ("wfs-image3", "wfs-image3"),
        ("tso3", "tso3"),
    ],
)
def test_types_of_dms(associate, asn_type, pipeline):
    path = associate("x_asn.json", "x", "x_rateints.fits", asn_type=asn_type)
    assert planned(path) == {"x_asn.json": ([pipeline], [])}


def test_members_that_are_made_in_the_same_run_tell_by_what_they_are_made_of(exposure, associate):
    raw = exposure("a_nrcb1_uncal.fits")
    three = associate("x_asn.json", "x", "a_nrcb1_cal.fits", asn_rule="DMS_Level3_Base")
    assert planned(three, raw)["x_asn.json"] == (["image3"], [raw.name])


def refusal(*paths, **options):
    with pytest.raises(UsageError, match="products would overwrite those of") as caught:
        plan_jobs(paths, JWST, **options)
    assert all(path.name in str(caught.value) for path in paths)
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["rate", "rateints"])
def test_raw_exposure_beside_its_own_rate_is_refused(exposure, suffix):
    assert f"a_{suffix}" in refusal(exposure("a_uncal.fits"), exposure(f"a_{suffix}.fits"))


def test_rates_and_those_of_each_integration_are_two_products(exposure):
    assert len(planned(exposure("a_rate.fits"), exposure("a_rateints.fits"))) == 2


def test_associations_that_would_write_the_same_for_a_member_are_refused(associate):
    members = ("a_cal.fits", "b_cal.fits")
    one = associate("1_asn.json", "one", *members, asn_type="image3")
    two = associate("2_asn.json", "two", *members[1:], asn_type="image3")
    assert "b_o001_cal" in refusal(one, two)
    other = associate("3_asn.json", "two", *members[1:], asn_type="image3", asn_id="o002")
    assert len(planned(one, other)) == 2


@pytest.mark.parametrize("kind", ["image2", "image3"])
def test_associations_of_one_product_are_refused(associate, kind):
    one = associate("1_asn.json", "p", "a_rate.fits", asn_type=kind)
    two = associate("2_asn.json", "p", "b_rate.fits", asn_type=kind)
    assert "p_cal" in refusal(one, two)


def test_associations_that_take_products_of_one_another_are_refused(associate):
    one = associate("1_asn.json", "p", "q_i2d.fits", asn_type="image3")
    two = associate("2_asn.json", "q", "p_i2d.fits", asn_type="image3")
    with pytest.raises(UsageError, match=r"[12]_asn.*needs a product of .*[12]_asn"):
        plan_jobs([one, two], JWST)


@pytest.mark.parametrize(
    "parameters", [{"output_file": "same"}, {"steps": {"x": {"output_file": "same"}}}]
)
def test_one_output_file_for_two_exposures_is_refused(exposure, parameters):
    jobs, _ = plan_jobs([exposure("a_rate.fits"), exposure("b_rate.fits")], JWST)
    with pytest.raises(
        UsageError, match=r"b_rate\.fits: .* of .*a_rate\.fits \(output_file is same"
    ):
        check_output_files(jobs, {"calwebb_image2": parameters})
    check_output_files(jobs[:1], {"calwebb_image2": parameters})
    check_output_files(jobs, {"calwebb_image2": {"output_file": None}})


def test_output_file_of_a_parameter_file_counts(exposure, tmp_path):
    jobs, _ = plan_jobs([exposure("a_rate.fits"), exposure("b_rate.fits")], JWST)
    file = tmp_path / "mine.cfg"
    file.write_text('name = "mine"\nclass = "jwst.pipeline.Image2Pipeline"\noutput_file = "same"\n')
    with pytest.raises(UsageError, match="output_file is same for both"):
        check_output_files(jobs, {"calwebb_image2": {"config_file": str(file)}})

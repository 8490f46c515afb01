"""Which pipelines a file goes through."""

import shutil

import pytest

from flows.calibrate.job import Job
from flows.calibrate.jobs import pipelines_of, plan_jobs
from flows.calwebb.mission import JWST
from flows.calwebb.stages import job_for
from stpipe_prefect.exceptions import InputError, UsageError


def test_raw_exposure_goes_through_two_stages(uncal):
    assert job_for(uncal) == Job(uncal, ("calwebb_detector1", "calwebb_image2"), ("rate", "cal"))


def test_one_stage_of_it(uncal):
    assert job_for(uncal, stage=1).pipelines == ("calwebb_detector1",)


def test_count_rates_go_through_the_second(with_header):
    rate = with_header("jw1_rate.fits")
    assert job_for(rate).pipelines == job_for(rate, stage=2).pipelines == ("calwebb_image2",)


def test_time_series_hands_on_every_integration(with_header):
    job = job_for(with_header("jw1_uncal.fits", EXP_TYPE="NRC_TSIMAGE"))
    assert job.handed_on == ("rateints", "calints")


@pytest.mark.parametrize(
    ("exp_type", "pipelines"),
    [
        ("MIR_LRS-FIXEDSLIT", ("calwebb_detector1", "calwebb_spec2")),
        ("NRC_DARK", ("calwebb_dark",)),
        ("FGS_TRACK", ("calwebb_guider",)),
        ("NRC_LED", ("calwebb_detector1",)),
    ],
)
def test_exposure_type_decides(with_header, exp_type, pipelines):
    assert job_for(with_header("jw1_uncal.fits", EXP_TYPE=exp_type)).pipelines == pipelines


def test_named_pipeline_decides(uncal):
    assert job_for(uncal, pipeline="calwebb_dark").pipelines == ("calwebb_dark",)


@pytest.mark.parametrize(
    ("name", "stage", "problem"),
    [
        (
            "jw1_uncal.fits",
            3,
            "its pipelines are calwebb_detector1, calwebb_image2, none",
        ),
        ("jw1_uncal.fits", 2, "stage 2 needs its _rate product"),
        ("jw1_rate.fits", 1, "its pipelines are calwebb_image2, none of stage 1"),
        ("jw1_cal.fits", None, "no pipeline takes cal files of EXP_TYPE NRC_IMAGE by itself"),
        ("raw.fits", None, "no pipeline takes this files"),
    ],
)
def test_nothing_to_do_is_wrong_usage(with_header, name, stage, problem):
    path = with_header(name)
    with pytest.raises(UsageError) as caught:
        job_for(path, stage=stage)
    assert str(caught.value).startswith(f"{path}: {problem}")


def test_exposure_type_without_pipeline(with_header):
    path = with_header("jw1_uncal.fits", EXP_TYPE="NRC_WFSC")
    with pytest.raises(InputError, match="no pipeline for exposures of EXP_TYPE NRC_WFSC"):
        job_for(path)


@pytest.mark.parametrize("kind", ["image2", "spec2", "image3", "spec3", "coron3", "ami3", "tso3"])
def test_association_type_decides(association, kind):
    assert job_for(association("a_cal.fits", asn_type=kind)).pipelines == (f"calwebb_{kind}",)


@pytest.mark.parametrize(
    ("exp_type", "pipeline"),
    [
        ("NRC_IMAGE", "calwebb_image3"),
        ("NRS_IFU", "calwebb_spec3"),
        ("NIS_AMI", "calwebb_ami3"),
        ("MIR_4QPM", "calwebb_coron3"),
        ("NRS_BRIGHTOBJ", "calwebb_tso3"),
    ],
)
def test_association_of_no_type_goes_by_its_first_member(
    with_header, association, exp_type, pipeline
):
    member = with_header("jw1_cal.fits", EXP_TYPE=exp_type)
    assert job_for(association(member.name)).pipelines == (pipeline,)


def test_association_of_what_is_not_combined(with_header, association):
    member = with_header("jw1_cal.fits", EXP_TYPE="NRC_TACQ")
    path = association(member.name, asn_type="odd")
    with pytest.raises(InputError, match="asn_type is odd, and exposures of EXP_TYPE NRC_TACQ"):
        job_for(path)


@pytest.mark.parametrize("member", ["absent_cal.fits", "other_asn.json"])
def test_association_whose_first_member_cannot_tell(association, member):
    association("a_cal.fits", name="other_asn.json")
    path = association(member)
    with pytest.raises(InputError) as caught:
        job_for(path)
    assert str(caught.value).startswith(f"{path}: ") and member in str(caught.value)


def test_bad_files_do_not_stop_good_ones(uncal, tmp_path):
    absent = tmp_path / "absent.fits"
    jobs, refused = plan_jobs([absent, uncal, uncal], JWST)
    assert [job.input for job in jobs] == [uncal]
    assert list(refused) == [absent]
    assert pipelines_of(jobs) == ["calwebb_detector1", "calwebb_image2"]


def test_two_files_of_one_name_are_refused(uncal, tmp_path):
    twin = shutil.copy(uncal, tmp_path)
    with pytest.raises(UsageError, match="products would overwrite those of"):
        plan_jobs([uncal, tmp_path / uncal.name], JWST)
    assert twin

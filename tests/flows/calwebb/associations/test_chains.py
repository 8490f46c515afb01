"""What is made of jwst's pools is a campaign: each job begins when its members can be whole."""

import pytest

from flows.calibrate.jobs import plan_jobs
from flows.calwebb.associations import associate
from flows.calwebb.mission import JWST
from stpipe_prefect.association import is_association


@pytest.fixture
def campaign(upstream_pool, headers_of, tmp_path):
    """Plan the jobs of a pool; gives, for each association by its end, what it waits for."""

    def plan(name, given=False):
        pool = upstream_pool(name)
        exposures = headers_of(pool)
        if given:
            pool.write(str(tmp_path / "pool.csv"))
        made = associate(exposures, pool=tmp_path / "pool.csv" if given else None)
        files = made.written(tmp_path / "out")
        jobs, refused = plan_jobs([*exposures, *files], JWST)
        assert not refused
        place = {job.input: number for number, job in enumerate(jobs)}
        assert all(place[need] < place[job.input] for job in jobs for need in job.needs)
        waits = {
            job.input.name: {path.name for path in job.needs}
            for job in jobs
            if is_association(job.input)
        }
        makers = {product: job.input.name for job in jobs for each in job.makes for product in each}
        for job in jobs:
            if is_association(job.input):
                assert {makers[product] for product in job.reads[0]} == waits[job.input.name]
        return waits

    return plan


def ending(waits, text):
    (found,) = (needs for name, needs in waits.items() if name.endswith(text))
    return found


def test_slitless_spectra_wait_for_the_catalogue_of_their_direct_images(campaign):
    waits = campaign("jw87800_20180412T163456_pool")
    image3 = "jw87800-o017_thd99999b_niriss_clear-f200w_image3_asn.json"
    assert ending(waits, image3) == {
        f"jw87800017001_0210{number}_00001_nis_image2_asn.json" for number in (1, 3)
    }
    spectra = {name for name in waits if name.endswith("spec2_asn.json")}
    assert len(spectra) == 8
    for name in spectra:
        exposure = name.replace("_spec2_asn.json", "_uncal.fits")
        assert waits[name] == {image3, exposure}
    assert ending(waits, "f200w-gr150r_spec3_asn.json") == spectra


def test_nods_are_one_another_s_background(campaign):
    waits = campaign("pool_024b_nirspec_fss_nods")
    assert waits["jw_00007_spec2_asn.json"] == {
        f"jw_{number:05d}_uncal.fits" for number in (1, 3, 7)
    }


def test_imprints_come_with_the_exposures_that_they_are_for(campaign):
    waits = campaign("pool_017_spec_nirspec_lv2imprint")
    assert waits["jw_00001_spec2_asn.json"] == {"jw_00001_uncal.fits", "jw_00002_uncal.fits"}


def test_backgrounds_of_other_observations_are_in_the_pool_of_dms_alone(campaign):
    waits = campaign("pool_010_spec_nirspec_lv2bkg", given=True)
    assert waits["jw_00012_spec2_asn.json"] == {"jw_00003_uncal.fits", "jw_00012_uncal.fits"}


def test_time_series_are_calibrated_by_integrations(campaign):
    waits = campaign("pool_021_tso")
    assert ending(waits, "clear-prism-s1600a1_tso3_asn.json") == {"jw_00005_tso-spec2ints_asn.json"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "given", "kinds"),
    [
        ("pool_005_spec_niriss", False, {"tso-spec2ints", "image2", "tso3"}),
        ("pool_007_spec_miri", False, {"spec2", "image2", "spec3", "spec2ints", "tso3"}),
        ("pool_013_coron_nircam", True, {"image2ints", "coron3"}),
        ("pool_025_nirspec_fss_nod_chop", True, {"spec2", "spec3"}),
    ],
)
def test_other_modes(campaign, name, given, kinds):
    found = {name.removesuffix("_asn.json").rpartition("_")[2] for name in campaign(name, given)}
    assert kinds <= found | {"spec2ints", "tso3"}


def test_associations_that_would_make_the_same_product_are_left_out(upstream_pool, headers_of):
    made = associate(headers_of(upstream_pool("jw00632_dups")))
    (remark,) = made.remarks
    assert remark.startswith("jw00632-o003_twasp80test_nircam_f212n-wlp8-nrca1-05_wfs-image3")
    assert len(made.associations) == 4

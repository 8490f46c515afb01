"""The associations are those of ``asn_generate``, for each of jwst's own pools."""

import re
import time

import pytest

from flows.calwebb.associations import associate
from flows.calwebb.associations.pool import pool_of, read_cards

QUICK = (
    "jw00632_dups",
    "jw09505_20251216t202003_pool",
    "jw87800_20180412T163456_pool",
    "pool_017_spec_nirspec_lv2imprint",
    "pool_021_tso",
    "pool_023b_nirspec_msa_3nod_subpix",
)
OTHERS = (
    "pool_002_image_miri",
    "pool_003_image_nircam",
    "pool_004_wfs",
    "pool_005_spec_niriss",
    "pool_006_spec_nirspec",
    "pool_007_spec_miri",
    "pool_008_exposerr",
    "pool_019_niriss_wfss",
    "pool_020_00009_image_miri",
    "pool_024_nirspec_fss_nods",
    "pool_024b_nirspec_fss_nods",
    "pool_024c_nirspec_fss_nods",
    "pool_duplicate",
)
NOT_IN_HEADERS = (
    "pool_001_candidates",  # mosaics and groups of several observations
    "pool_001_candidates_lower",
    "pool_010_spec_nirspec_lv2bkg",  # backgrounds of another observation
    "pool_013_coron_nircam",  # PSF references of another observation
    "pool_018_all_exptypes",
    "pool_023_nirspec_msa_3nod",  # two exposure specifications in one activity
    "pool_025_nirspec_fss_nod_chop",
    "pool_033_wfs_jitter",  # dms_note
    "mega_pool",  # all of it
)
slow = pytest.mark.slow


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(each, marks=slow) for each in OTHERS)])
def test_equal_those_of_jwst_from_headers(name, upstream_pool, asn_generate, headers_of, content):
    from flows.calwebb.associations.rules import associations_of

    pool = upstream_pool(name)
    expected = asn_generate(pool)
    own = pool_of({path: read_cards(path) for path in headers_of(pool)})
    numbers = {row["filename"]: str(row["targetid"]) for row in pool}
    targets = {numbers[row["filename"]]: row["targetid"] for row in own}

    def respelled(text):
        return re.sub(r"(?<=_t)0*(\d+)(?=[_-])", lambda match: f"{targets[match[1]]:0>3}", text)

    assert content(associations_of(own)) == content(expected, respelled)


@pytest.mark.parametrize(
    "name", [QUICK[0], *(pytest.param(each, marks=slow) for each in (*OTHERS, *NOT_IN_HEADERS))]
)
def test_equal_those_of_jwst_from_its_pool(name, upstream_pool, asn_generate, content):
    from flows.calwebb.associations.rules import associations_of

    pool = upstream_pool(name)
    assert content(associations_of(pool.copy())) == content(asn_generate(pool))


@pytest.mark.slow
def test_a_thousand_images_take_half_a_minute(upstream_pool, headers_of):
    (row, *_) = upstream_pool("pool_003_image_nircam")
    rows = []
    for number in range(1000):
        observation = f"{number // 200 + 1:03d}"
        detector = f"nrc{'ab'[number % 2]}{number // 2 % 5 + 1}"
        own = {
            "asn_candidate": f"[('o{observation}', 'observation')]",
            "detector": detector,
            "filter": ("f200w", "f115w")[number // 100 % 2],
            "filename": f"jw01234{observation}001_02101_{number:05d}_{detector}_uncal.fits",
        }
        rows.append(dict(row) | own)
    paths = headers_of(rows)
    started = time.process_time()
    made = associate(paths).associations
    assert time.process_time() - started <= 30
    assert len(made) == 1012

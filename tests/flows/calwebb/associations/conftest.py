"""jwst's own pools, what its generator makes of them, and folders of headers that hold them."""

import logging
import re
from pathlib import Path

import pytest
from astropy.io import fits

FOLDER = Path(pytest.importorskip("jwst.associations.tests").__file__).parent / "data"

KEYWORDS = {"obs_num": "OBSERVTN", "subpxpns": "SUBPXPTS"}
BOOLEANS = ("bkgdtarg", "is_imprt", "is_psf", "tsovisit")


@pytest.fixture(autouse=True)
def quiet():
    """Keep jwst from printing whole associations."""
    logger = logging.getLogger("jwst.associations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@pytest.fixture
def upstream_pool():
    """Read one of jwst's pools, without rows that are titles or have no candidate."""
    from jwst.associations.tests.helpers import combine_pools

    def read(name):
        pool = combine_pools(str(FOLDER / f"{name}.csv"))
        return pool[["', '" in str(row["asn_candidate"]) for row in pool]]

    return read


@pytest.fixture
def asn_generate():
    """Apply the rules as the command of jwst does."""
    from jwst.associations.generator.generate_per_candidate import generate_per_candidate

    return lambda pool: generate_per_candidate(pool.copy(), None, discover=True)


@pytest.fixture
def content():
    """Give what matters of associations: types, rules, products, members."""

    def tell(associations, respelled=str):
        return sorted(
            (
                each["asn_type"],
                each["asn_rule"],
                each["asn_id"],
                respelled(product["name"]),
                tuple(
                    sorted(
                        (respelled(member["expname"]), member["exptype"])
                        for member in product["members"]
                    )
                ),
            )
            for each in associations
            for product in each["products"]
        )

    return tell


@pytest.fixture
def headers_of(tmp_path):
    """Write the header of each row of a pool, as far as headers can hold it."""
    from flows.calwebb.associations.pool import FROM_HEADER

    def write(rows):
        paths = []
        for row in map(dict, rows):
            header = fits.Header({"TELESCOP": "JWST"})
            for column in {*FROM_HEADER, *KEYWORDS}.intersection(row):
                value = str(row[column])
                if column == "obs_num":
                    value = re.search(r"'o(\d+)'", str(row["asn_candidate"]))[1]
                if value in ("null", "n/a"):
                    continue
                is_true = value in ("t", "y", "true")
                keyword = KEYWORDS.get(column, column.upper())
                header[keyword] = is_true if column in BOOLEANS else value
            paths.append(tmp_path / str(row["filename"]))
            primary, last = fits.PrimaryHDU(header=header), fits.ImageHDU(name="ASDF")
            fits.HDUList([primary, last]).writeto(paths[-1])
        return paths

    return write

"""Makes products and puts them into a store, as a job does: ``publishing.py URL CONTENT``."""

import sys

from stpipe_prefect.provenance.dependencies import Dependencies
from stpipe_prefect.provenance.fingerprint import FileContent
from stpipe_prefect.provenance.record import Record
from stpipe_prefect.remote.products import ProductsFolder
from stpipe_prefect.remote.scratch import scratch
from stpipe_prefect.remote.urls import local_path

MADE_OF = Dependencies("a.Pipeline", "jwst", "jwst_0001.pmap", "", "", [], [], [], {})
RUN = {"name": "x_uncal.one", "pipeline": "one", "log": "x_uncal.one.log"}


def make(folder, content):
    """Put into a folder what a run makes."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("rate", "rateints"):
        (folder / f"x_{suffix}.fits").write_text(content)
    (folder / "x_uncal.one.log").write_text(content)
    products = [FileContent.of(folder / f"x_{suffix}.fits") for suffix in ("rate", "rateints")]
    path = folder / "x_uncal.one.provenance.json"
    path.write_text(Record(path, MADE_OF, RUN, [], products).as_text())


def publish(url, content):
    """Do what a job does with a folder in a store."""
    with scratch("job", "a job"):
        folder = local_path(url)
        products = ProductsFolder(folder)
        products.bring(["x"])
        products.clear("x")
        for path in folder.glob("*"):
            path.unlink()
        make(folder, content)
        products.publish()


if __name__ == "__main__":
    publish(*sys.argv[1:])

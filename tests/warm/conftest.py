"""A warm process that has imported little."""

import pytest
from shell import Shell


@pytest.fixture
def shell(tmp_path_factory):
    made = Shell(tmp_path_factory.mktemp("run"))  # short: paths of sockets are
    yield made
    made.warm("--stop")


@pytest.fixture(scope="module")
def warm_shell(tmp_path_factory):
    made = Shell(tmp_path_factory.mktemp("run"))
    made.start("surroundings")
    yield made
    made.warm("--stop")

"""Where the warm process of a command listens: a socket that only its user reaches.

The name of the socket is made of all that decides, when Python and the libraries are imported,
what they will do later: a command that differs in it finds no warm process.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from ..exceptions import StpipePrefectError

READ_AT_IMPORT = (
    "ASDF_",
    "ASTROMETRIC_CATALOG_URL",
    "ASTROPY_",
    "CRDS_DEFAULT_CACHE",
    "CRDS_TRAP_AUGMENTED",
    "DYLD_",
    "FSSPEC_",
    "HOME",
    "LANG",
    "LC_",
    "LD_",
    "MPL",
    "MATPLOTLIBRC",
    "NPY_",
    "NUMBA_",
    "NUMPY_",
    "OTEL_",
    "PENDULUM_",
    "PILLOW_",
    "PREFECT_HOME",
    "PROMETHEUS_",
    "PYDANTIC_",
    "PYTHON",
    "SCIPY_",
    "SSL",
    "WEBSOCKETS_",
    "WRAPT_",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
)
"""What variables begin with that Python, or a library, reads once and for all."""

JOB_OF_SCHEDULER = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
"""A job of a batch system has its own limits: what runs in it is to be counted in it."""


LONGEST = 99
"""Bytes of the path of a socket, to which the one that makes it adds its number."""


def socket_path(*, make_folder: bool = False) -> Path:
    """Give the socket of the warm process for commands such as this one; see `folder`."""
    digest = hashlib.sha256("\0".join(_traits()).encode("utf-8", "surrogateescape"))
    path = folder(make=make_folder) / digest.hexdigest()[:16]
    if len(os.fsencode(path)) > LONGEST:
        raise StpipePrefectError(
            f"{path} is too long for a socket: set XDG_RUNTIME_DIR to a folder with a shorter name"
        )
    return path


def folder(*, make: bool = False) -> Path:
    """Give the folder of this user's sockets.

    Raises
    ------
    StpipePrefectError
        Others can reach into it.
    OSError
        It is not there, or cannot be made.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("TMPDIR") or "/tmp"
    path = Path(runtime) / f"stpipe_prefect-{os.getuid()}"
    if make:
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StpipePrefectError(
                f"{path}: {error.strerror}: set XDG_RUNTIME_DIR to a folder of yours"
            ) from error
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StpipePrefectError(f"{path} is not a folder of yours alone: remove it")
    return path


def _traits() -> Iterator[str]:
    root = os.stat("/")  # noqa: PTH116 - pathlib's is no faster, and this is another container's
    yield from map(str, (root.st_dev, root.st_ino, os.getuid(), os.getgid(), os.getegid()))
    yield str(sorted(os.getgroups()))
    yield from (sys.executable, sys.prefix, sys.version, str(Path(__file__).parent))
    yield from map(str, (sys.flags, sys.warnoptions, sorted(sys._xoptions.items())))
    for name in sorted(os.environ):
        if name.startswith(READ_AT_IMPORT) or name in JOB_OF_SCHEDULER:
            yield f"{name}={os.environ[name]}"

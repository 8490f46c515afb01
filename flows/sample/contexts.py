"""The two CRDS contexts: which reference file is best for whom.

A context (pmap) names one mapping an instrument (imap), which names one mapping a
reference type (rmap), which holds the rules.
"""

from __future__ import annotations

import pprint
from collections import defaultdict
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .references.reference import USEAFTER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .references.reference import Reference

CONTEXTS = ("jwst_0001.pmap", "jwst_0002.pmap")
"""The operational context, and a newer one: another NIRCam flat, gain and pars-jumpstep."""


@dataclass(frozen=True)
class Observatory:
    """How CRDS deals with an observatory.

    Attributes
    ----------
    name : lower case
    instrument : what names the instrument
    dates : what a reference is of use after
    unlisted : types that its pipelines ask for and crds does not list
    """

    name: str
    instrument: str
    dates: tuple[str, ...]
    unlisted: tuple[str, ...] = ()


JWST = Observatory(
    "jwst",
    "META.INSTRUMENT.NAME",
    ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME"),
    ("pars-targcentroidstep",),
)


def write_context(
    observatory: Observatory,
    folder: Path,
    context: str,
    edition: int,
    files: Mapping[str, Reference],
) -> None:
    """Write a context and all the mappings it names.

    Parameters
    ----------
    observatory : Observatory
    folder : of the cache's mappings
    context : name of the pmap
    edition : the context knows the reference files up to this edition
    files : every reference file of the cache, by its name
    """
    kinds = import_module(f"crds.{observatory.name}").FILEKINDS
    known: dict[str, dict[str, dict[str, Reference]]] = defaultdict(lambda: defaultdict(dict))
    for name, reference in files.items():
        if reference.edition <= edition:
            known[reference.instrument][reference.reftype][name] = reference

    imaps = {}
    for instrument, types in known.items():
        # CRDS takes a type that is not named at all for an error, and "N/A" for an answer.
        rmaps = dict.fromkeys((*kinds, *observatory.unlisted), "N/A")
        for reftype, candidates in types.items():
            rmaps[reftype] = (
                f"{observatory.name}_{instrument}_{reftype}_{_newest(candidates):04d}.rmap"
            )
            _write_rmap(observatory, folder / rmaps[reftype], candidates)
        newest = max(_newest(candidates) for candidates in types.values())
        imap = f"{observatory.name}_{instrument}_{newest:04d}.imap"
        imaps[instrument.upper()] = imap
        header = {"mapping": "INSTRUMENT", "instrument": instrument.upper(), "parkey": ("REFTYPE",)}
        _write_mapping(observatory, folder / imap, header, pprint.pformat(rmaps))
    header = {"mapping": "PIPELINE", "parkey": (observatory.instrument,)}
    _write_mapping(observatory, folder / context, header, pprint.pformat(imaps))


def _newest(candidates: Mapping[str, Reference]) -> int:
    return max(reference.edition for reference in candidates.values())


def _write_rmap(observatory: Observatory, path: Path, candidates: Mapping[str, Reference]) -> None:
    """Write the rules of one type; a later edition takes the place of an earlier one."""
    best = {
        tuple(reference.match.values()): name
        for name, reference in sorted(candidates.items(), key=lambda item: item[1].edition)
    }
    since = USEAFTER.replace("T", " ")
    rules = [f"{key!r} : UseAfter({{ {since!r} : {name!r} }})," for key, name in best.items()]
    one = next(iter(candidates.values()))
    header = {
        "mapping": "REFERENCE",
        "instrument": one.instrument.upper(),
        "filekind": one.reftype.upper(),
        "parkey": (tuple(one.match), observatory.dates),
    }
    _write_mapping(observatory, path, header, "\n".join(["Match({", *rules, "})"]))


def _write_mapping(
    observatory: Observatory, path: Path, header: Mapping[str, Any], selector: str
) -> None:
    """Write one mapping, with the checksum that CRDS verifies when it reads it."""
    from crds.core.rmap import Mapping

    simulated = {"observatory": observatory.name.upper(), "derived_from": "simulated"}
    full = {**simulated, "name": path.name, **header}
    text = f"header = {pprint.pformat(full)}\n\nselector = {selector}\n"
    Mapping.from_string(text, path.name, ignore_checksum=True).write(str(path))

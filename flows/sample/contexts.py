"""The two CRDS contexts: which reference file is best for whom.

A context (pmap) names one mapping an instrument (imap), which names one mapping a
reference type (rmap), which holds the rules.
"""

from __future__ import annotations

import pprint
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from .references.reference import USEAFTER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .references.reference import Reference

CONTEXTS = ("jwst_0001.pmap", "jwst_0002.pmap")
"""The operational context, and a newer one: another NIRCam flat, gain and pars-jumpstep."""

_UNLISTED = ("pars-targcentroidstep",)
"""Types that jwst asks for and crds does not list."""


def write_context(folder: Path, context: str, edition: int, files: Mapping[str, Reference]) -> None:
    """Write a context and all the mappings it names.

    Parameters
    ----------
    folder : of the cache's mappings
    context : name of the pmap
    edition : the context knows the reference files up to this edition
    files : every reference file of the cache, by its name
    """
    from crds.jwst import FILEKINDS

    known: dict[str, dict[str, dict[str, Reference]]] = defaultdict(lambda: defaultdict(dict))
    for name, reference in files.items():
        if reference.edition <= edition:
            known[reference.instrument][reference.reftype][name] = reference

    imaps = {}
    for instrument, types in known.items():
        # CRDS takes a type that is not named at all for an error, and "N/A" for an answer.
        rmaps = dict.fromkeys((*FILEKINDS, *_UNLISTED), "N/A")
        for reftype, candidates in types.items():
            rmaps[reftype] = f"jwst_{instrument}_{reftype}_{_newest(candidates):04d}.rmap"
            _write_rmap(folder / rmaps[reftype], candidates)
        newest = max(_newest(candidates) for candidates in types.values())
        imap = f"jwst_{instrument}_{newest:04d}.imap"
        imaps[instrument.upper()] = imap
        header = {"mapping": "INSTRUMENT", "instrument": instrument.upper(), "parkey": ("REFTYPE",)}
        _write_mapping(folder / imap, header, pprint.pformat(rmaps))
    header = {"mapping": "PIPELINE", "parkey": ("META.INSTRUMENT.NAME",)}
    _write_mapping(folder / context, header, pprint.pformat(imaps))


def _newest(candidates: Mapping[str, Reference]) -> int:
    return max(reference.edition for reference in candidates.values())


def _write_rmap(path: Path, candidates: Mapping[str, Reference]) -> None:
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
        "parkey": (tuple(one.match), ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME")),
    }
    _write_mapping(path, header, "\n".join(["Match({", *rules, "})"]))


def _write_mapping(path: Path, header: Mapping[str, Any], selector: str) -> None:
    """Write one mapping, with the checksum that CRDS verifies when it reads it."""
    from crds.core.rmap import Mapping

    full = {"observatory": "JWST", "name": path.name, "derived_from": "simulated", **header}
    text = f"header = {pprint.pformat(full)}\n\nselector = {selector}\n"
    Mapping.from_string(text, path.name, ignore_checksum=True).write(str(path))

"""Best references: which file of each type suits an exposure under a context, and where it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..exceptions import ReferenceFileError, reason
from .context import is_serverless

NOT_APPLICABLE = "N/A"


def best_references(
    crds_parameters: Mapping[str, Any],
    reference_types: Iterable[str],
    *,
    observatory: str,
    context: str,
    required: bool = True,
) -> dict[str, str]:
    """Select the reference files that suit an exposure.

    No file is opened or fetched.

    Parameters
    ----------
    crds_parameters : mapping
        What CRDS matches on, as a data model's ``get_crds_parameters()`` gives.
    reference_types : iterable of str
        Types such as ``"flat"`` or ``"pars-jumpstep"``.
    observatory : str
        ``"jwst"`` or ``"roman"``.
    context : str
        File name of the context.
    required : bool
        Whether the context must have a rule that fits for every type; if not, a type without
        one is as good as not applicable, and so are all for an instrument it does not know.

    Returns
    -------
    dict of str to str
        File name for each type, ``"N/A"`` where the context says that none applies.

    Raises
    ------
    ReferenceFileError
        The context has no rule that fits the exposure; every such type is named.
    """
    import crds

    types = sorted(set(reference_types))
    if not types:  # crds understands an empty list as all types
        return {}
    try:
        selected = crds.getrecommendations(
            dict(crds_parameters),
            reftypes=types,
            context=context,
            observatory=observatory,
            fast=True,
        )
    except Exception as error:
        if not required and _is_unknown(error):
            return dict.fromkeys(types, NOT_APPLICABLE)
        raise ReferenceFileError(
            f"{context} cannot select references for this exposure: {reason(_absent(error))}"
        ) from error
    names = {kind: _name(answer) for kind, answer in selected.items()}
    missing = {kind: answer for kind, answer in selected.items() if not names[kind]}
    if missing and required:
        reasons = {answer.removeprefix("NOT FOUND").strip(" :") for answer in missing.values()}
        from .unselected import ReferenceNotSelectedError

        raise ReferenceNotSelectedError(
            f"{context} selects no {', '.join(sorted(missing))} reference for this exposure: "
            f"{'; '.join(sorted(reasons))}"
        )
    return {kind: name or NOT_APPLICABLE for kind, name in names.items()}


def reference_path(name: str, reference_type: str, *, observatory: str, context: str) -> Path:
    """Find a reference file in the cache, fetching it from the CRDS server where there is one.

    Parameters
    ----------
    name : str
        File name of the reference.
    reference_type : str
        Its type, for the message.
    observatory, context : str
        As for `best_references`.

    Returns
    -------
    pathlib.Path
        The file in the local cache.

    Raises
    ------
    ReferenceFileError
        The file is not in the cache and could not be fetched, or is not whole.
    """
    import crds
    from crds.client import api

    path = Path(crds.locate_file(name, observatory))
    title = f"{reference_type} reference {name} ({context})"
    if not path.is_file():
        missing = f"{title} is not in the CRDS cache: {path}"
        if is_serverless(observatory):
            raise ReferenceFileError(f"{missing}; set CRDS_SERVER_URL to fetch it")
        try:
            api.dump_references(context, [name])
        except Exception as error:
            raise ReferenceFileError(f"{missing}; fetching failed: {reason(error)}") from error
    if not _looks_whole(path):
        raise ReferenceFileError(
            f"{title} is damaged: {path} is no whole {path.suffix} file; remove it and fetch anew"
        )
    return path


_BEGINNINGS = {".fits": b"SIMPLE  =", ".asdf": b"#ASDF"}
_FITS_BLOCK = 2880


def _looks_whole(path: Path) -> bool:
    """Tell whether a file begins as its kind does and, if FITS, ends where one can end."""
    beginning = _BEGINNINGS.get(path.suffix, b"")
    with path.open("rb") as file:
        begins_well = file.read(len(beginning)) == beginning
    size = path.stat().st_size
    return begins_well and size > 0 and (path.suffix != ".fits" or size % _FITS_BLOCK == 0)


def _absent(error: BaseException) -> BaseException:
    """Go back to the absent mapping that made crds look for a server, if that is what it was."""
    earlier: BaseException | None = error
    while earlier is not None and not isinstance(earlier, FileNotFoundError):
        earlier = earlier.__context__
    return earlier or error


def _is_unknown(error: Exception) -> bool:
    """Tell whether the context knows nothing about such data, rather than being damaged."""
    from crds.core.exceptions import CrdsError, CrdsUnknownInstrumentError

    # crds says that the data name no instrument with an error of the bare base class.
    return type(error) in (CrdsError, CrdsUnknownInstrumentError)


def _name(answer: str) -> str:
    """Read one answer of crds: a file name, ``"N/A"``, or empty where nothing was found."""
    if answer.upper().startswith("NOT FOUND"):
        return NOT_APPLICABLE if "N/A" in answer.upper() else ""
    return answer

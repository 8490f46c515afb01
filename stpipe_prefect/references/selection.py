"""Best references: which file of each type suits an exposure under a context."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from ..exceptions import ContextError, ReferenceFileError, reason
from ..workarounds import client_offline
from .crds_client import Catalogue, Deadline, configured_server
from .reference import NOT_APPLICABLE, ReferenceFile

logger = logging.getLogger("stpipe.references")

_answers: WeakKeyDictionary[Any, dict[tuple[tuple[str, str], ...], dict[str, str]]]
_answers = WeakKeyDictionary()
"""What crds has answered by type, for each set of matched parameters, while it keeps the rules."""


class NotSelectedError(ReferenceFileError):
    """The context has no rule that fits the exposure."""


def select(
    crds_parameters: Mapping[str, Any],
    reference_types: Iterable[str],
    *,
    observatory: str,
    context: str,
    required: bool = True,
) -> list[ReferenceFile]:
    """Select the files that suit an exposure, one of each type; see `best_references`."""
    names = best_references(
        crds_parameters,
        reference_types,
        observatory=observatory,
        context=context,
        required=required,
    )
    exposure = exposure_name(crds_parameters)
    return [
        ReferenceFile(name, kind, observatory, context, exposure) for kind, name in names.items()
    ]


def best_references(
    crds_parameters: Mapping[str, Any],
    reference_types: Iterable[str],
    *,
    observatory: str,
    context: str,
    required: bool = True,
) -> dict[str, str]:
    """Select the reference files that suit an exposure.

    No file is opened or fetched. For data alike CRDS selects each type once, as long as it keeps
    the rules in memory. Where the context says that none applies the name is ``"N/A"``; and, if
    not `required`, where it has no rule that fits, or does not know the instrument.

    Raises
    ------
    ReferenceFileError
        The context has no rule that fits the exposure; every such type is named. Or CRDS marks
        a file, or a rule, as bad.
    """
    import crds

    types = sorted(set(reference_types))
    if not types:  # crds understands an empty list as all types
        return {}
    known = _selected_before(_load_rules(crds_parameters, observatory, context), crds_parameters)
    unknown = [kind for kind in types if kind not in known]
    try:
        if unknown:
            with client_offline(observatory):
                known |= crds.getrecommendations(
                    dict(crds_parameters),
                    reftypes=unknown,
                    context=context,
                    observatory=observatory,
                    fast=True,
                )
    except (Exception, SystemExit) as error:  # crds leaves where it finds no server_config
        if not required and _is_unknown(error):
            return dict.fromkeys(types, NOT_APPLICABLE)
        raise ReferenceFileError(_no_selection(context, crds_parameters, error)) from error
    selected = {kind: known[kind] for kind in types}
    names = {kind: file_selected(answer) for kind, answer in selected.items()}
    exposure = exposure_name(crds_parameters)
    _refuse_bad_rules(crds_parameters, observatory, context)
    refuse_bad(names, observatory, exposure)
    missing = {kind: answer for kind, answer in selected.items() if not names[kind]}
    if missing and required:
        reasons = {answer.removeprefix("NOT FOUND").strip(" :") for answer in missing.values()}
        raise _not_selected()(
            f"{context} selects no {', '.join(sorted(missing))} reference for "
            f"{exposure}: {'; '.join(sorted(reasons))}; use a context that "
            f"covers it, or give a file of your own as override_<type>"
        )
    return {kind: name or NOT_APPLICABLE for kind, name in names.items()}


def _load_rules(crds_parameters: Mapping[str, Any], observatory: str, context: str) -> Any:
    """Load all mappings that crds will: it prints a traceback itself where one is absent.

    None for an instrument that the context does not know.
    """
    from crds.core import rmap, utils

    try:
        instrument = utils.header_to_instrument(dict(crds_parameters))
    except KeyError:  # crds knows what it makes of that
        return None
    try:
        rules = rmap.get_cached_mapping(context)
        rules.get_imap(instrument).get_required_parkeys()
        return rules
    except Exception as error:
        if not _is_unknown(error):
            remedy = "; set CRDS_SERVER_URL to fetch mappings"
            raise ReferenceFileError(
                _no_selection(context, crds_parameters, error)
                + ("" if configured_server(observatory) else remedy)
            ) from error
    return None


def _selected_before(rules: Any, crds_parameters: Mapping[str, Any]) -> dict[str, str]:
    """Find what crds has answered by type for data that are the same to the rules."""
    if rules is None:
        return {}
    from crds.core import utils

    header = dict(crds_parameters)
    if rules.observatory == "roman":  # as crds itself does
        header = utils.get_locator_module("roman").dataset_to_ref_header(header)
    matched = rules.minimize_header(utils.condition_header(header))
    return _answers.setdefault(rules, {}).setdefault(tuple(sorted(matched.items())), {})


def _no_selection(context: str, crds_parameters: Mapping[str, Any], error: BaseException) -> str:
    exposure = exposure_name(crds_parameters)
    return f"{context} cannot select references for {exposure}: {reason(_absent(error))}"


def refuse_bad(files: Mapping[str, str], observatory: str, exposure: str = "") -> None:
    """Refuse files, by type, that CRDS marks as scientifically invalid, as crds itself does."""
    from crds.core import config

    bad = bad_files(observatory)
    for kind, name in files.items():
        if name not in bad:
            continue
        problem = (
            f"{kind} reference {name}{f' for {exposure}' if exposure else ''} is marked as bad"
        )
        if config.ALLOW_BAD_REFERENCES:
            logger.warning("The %s by CRDS", problem)
        else:
            raise ReferenceFileError(
                f"{problem} by CRDS: use another context, give a file of your own as "
                f"override_{kind}, or set CRDS_ALLOW_BAD_REFERENCES=true"
            )


def _refuse_bad_rules(crds_parameters: Mapping[str, Any], observatory: str, context: str) -> None:
    """Refuse a context whose rules for an instrument CRDS marks as invalid."""
    from crds.core import config, heavy_client, utils

    if not any(config.is_mapping(name) for name in bad_files(observatory)):
        return
    instrument = utils.header_to_instrument(dict(crds_parameters))
    try:
        bad = heavy_client.get_bad_mappings_in_context(observatory, context, instrument)
    except (Exception, SystemExit) as error:
        raise ReferenceFileError(_no_selection(context, crds_parameters, error)) from error
    _refuse_rules(context, bad, ReferenceFileError)


def refuse_bad_context(observatory: str, context: str) -> None:
    """Refuse a context of which CRDS marks any rules as bad by now; the server is asked again."""
    from crds.core import heavy_client, utils

    server = configured_server(observatory)
    if server is not None:
        Catalogue(observatory).refresh(server, Deadline())
        utils.clear_function_caches()
    with client_offline(observatory):
        bad = heavy_client.get_bad_mappings_in_context(observatory, context)
    _refuse_rules(context, bad, ContextError)


def _refuse_rules(context: str, bad: Sequence[str], error: type[ReferenceFileError]) -> None:
    from crds.core import config

    if bad and config.ALLOW_BAD_RULES:
        logger.warning("%s contains %s, marked as bad by CRDS", context, ", ".join(bad))
    elif bad:
        raise error(
            f"{context} contains {', '.join(bad)}, marked as bad by CRDS: use another context, "
            "or set CRDS_ALLOW_BAD_RULES=true"
        )


def bad_files(observatory: str) -> frozenset[str]:
    """List the files that CRDS marks as bad, as far as the cache knows."""
    from crds.core import heavy_client

    with client_offline(observatory):
        try:
            info = heavy_client.get_config_info(observatory)
        except (Exception, SystemExit):  # no server_config: who needs one says so
            return frozenset()
    return frozenset(info.get("bad_files_list") or ())


def exposure_name(crds_parameters: Mapping[str, Any]) -> str:
    """Say which exposure matching parameters are from, as far as they tell."""
    names = {name.lower(): value for name, value in crds_parameters.items()}
    return str(names.get("meta.filename") or names.get("roman.meta.filename") or "this exposure")


def _absent(error: BaseException) -> BaseException:
    """Go back to the absent mapping that made crds look for a server, if that is what it was."""
    earlier: BaseException | None = error
    while earlier is not None and not isinstance(earlier, FileNotFoundError):
        earlier = earlier.__context__
    return earlier or error


def _is_unknown(error: BaseException) -> bool:
    """Tell whether the context knows nothing about such data, rather than being damaged."""
    from crds.core.exceptions import CrdsError, CrdsUnknownInstrumentError

    # crds says that the data name no instrument with an error of the bare base class.
    return type(error) in (CrdsError, CrdsUnknownInstrumentError)


@cache
def _not_selected() -> type[NotSelectedError]:
    """Make it the error of the crds client, too: some steps catch that and do without the file."""
    from crds.core.exceptions import CrdsLookupError

    return type("NotSelectedError", (NotSelectedError, CrdsLookupError), {})


def file_selected(answer: str) -> str:
    """Read one answer of crds: a file name, ``"N/A"``, or empty where nothing was found."""
    if answer.upper().startswith("NOT FOUND"):
        return NOT_APPLICABLE if "N/A" in answer.upper() else ""
    return answer

"""The command ``prefetch``: fetches the reference files that exposures need, ahead of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..exceptions import CrdsServerError, InputError, ReferenceFileError, StpipePrefectError
from ..parameters.text import CommandParser, count
from ..references.cache import prefetch_all
from ..references.context import pinned_context
from ..references.needs import files_needed, parameter_files, read_crds_parameters
from ..references.reference import ReferenceFile
from .exit import say
from .run import read_command, step_parser


def prefetch_options() -> CommandParser:
    """Make the parser of what can be said for every pipeline."""
    parser = step_parser("prefetch")
    parser.add_argument("--context", metavar="PMAP", help="CRDS context [the operational one]")
    parser.add_argument(
        "--jobs", type=count, default=4, metavar="N", help="files to fetch at a time [4]"
    )
    return parser


def fill_cache_for(argv: list[str]) -> int:
    """Fill the cache as a command line asks for."""
    options = prefetch_options()
    command = read_command(argv, options)
    args = command.args
    if not args.inputs:
        options.error("expected exposures or associations: INPUT …")
    return fill_cache(command.step_class, args.inputs, args.context, args.jobs, command.keywords)


def fill_cache(
    pipeline_class: Any,
    inputs: Sequence[str],
    context: str | None,
    jobs: int,
    parameters: Mapping[str, Any],
) -> int:
    """Bring into the cache whatever a pipeline needs for some exposures.

    What is there and whole is left alone, so that it can be run again at any time, also twice
    at once. `parameters` are of the run, and ``config_file``: a step that is skipped needs no
    files. The exit code is 1 if something is amiss, which is said on standard error.
    """
    with pinned_context(_observatory(pipeline_class, inputs), context) as name:
        prefetch = _Prefetch(pipeline_class, name, jobs, parameters)
        try:
            wanted = {file.name: file for data in inputs for file in prefetch.wanted_by(data)}
            prefetch.fetch(wanted.values())
        except CrdsServerError as error:
            prefetch.failures.append(error)
    for failure in prefetch.failures:
        say("error", str(failure))
    fetched = [file for file in prefetch.cached.values() if file.is_fetched]
    print(
        f"{len(prefetch.cached)} files for {len(inputs)} inputs under {name}: "
        f"{len(fetched)} fetched ({sum(file.size for file in fetched) / 1e6:.2f} MB), "
        f"{len(prefetch.cached) - len(fetched)} were there, {len(prefetch.failures)} failures"
    )
    return 1 if prefetch.failures else 0


class _Prefetch:
    """What has been fetched so far, and what went wrong."""

    def __init__(
        self, pipeline_class: Any, context: str, jobs: int, parameters: Mapping[str, Any]
    ) -> None:
        self._pipeline_class, self._context, self._jobs = pipeline_class, context, jobs
        self._parameters = parameters
        self.cached: dict[str, ReferenceFile] = {}
        self.failures: list[StpipePrefectError] = []

    def wanted_by(self, data: str) -> list[ReferenceFile]:
        """List what an exposure or association calls for; its parameter files are fetched."""
        try:
            return self._wanted_by(data)
        except CrdsServerError:
            raise
        except StpipePrefectError as error:
            self.failures.append(error)
            return []

    def _wanted_by(self, data: str) -> list[ReferenceFile]:
        first, observatory = read_crds_parameters(self._pipeline_class, data)
        self.fetch(parameter_files(self._pipeline_class, first, observatory, self._context))
        configured = _configured(self._pipeline_class, data, self._parameters)
        return files_needed(configured, data, first, observatory, self._context)

    def fetch(self, files: Iterable[ReferenceFile]) -> None:
        """Bring files into the cache that are not known to be there."""
        missing = [file for file in files if file.name not in self.cached]
        for outcome in prefetch_all(missing, self._jobs):
            if isinstance(outcome, CrdsServerError):
                raise outcome
            if isinstance(outcome, ReferenceFileError):
                self.failures.append(outcome)
                continue
            self.cached[outcome.name] = outcome
            if outcome.is_fetched:
                print(f"fetched {outcome.name}  {outcome.size / 1e6:.2f} MB", flush=True)


def _observatory(pipeline_class: Any, inputs: Sequence[str]) -> str:
    """Find out whose exposures they are, from the first that can be read."""
    error: InputError | None = None
    for data in inputs:
        try:
            return read_crds_parameters(pipeline_class, data)[1]
        except InputError as unreadable:
            error = error or unreadable
    assert error is not None
    raise error


def _configured(pipeline_class: Any, data: str, parameters: Mapping[str, Any]) -> Any:
    """Make the pipeline as it would run, for what it skips and what was given by file."""
    config, config_file = pipeline_class.build_config(data, **parameters)
    config.pop("class", None)
    return pipeline_class.from_config_section(config, config_file=config_file)

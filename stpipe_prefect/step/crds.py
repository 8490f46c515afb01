"""What CRDS gives a step: reference files and their overrides."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

from ..association import is_association
from ..datamodel import is_library, is_model, is_sequence
from ..parameters.layers import with_text_paths
from ..parameters.spec import override_name
from ..references.lookup import cache_path, checked_file, fetched, reference_files
from ..references.reference import NOT_APPLICABLE, URI_SCHEME
from .identity import LOGGER_NAME, Member

logger = logging.getLogger(f"{LOGGER_NAME}.step")


class Calibrated(Member):
    """A step that uses reference files.

    Attributes
    ----------
    reference_file_types : sequence of str
        The types it asks for; each gives it a parameter ``override_<type>``.
    prefetch_references : bool
        Whether a pipeline fetches them before it starts.
    """

    reference_file_types: Any = ()  # a property in Pipeline
    prefetch_references: ClassVar[bool] = True
    skip: bool
    _reference_files_used: list[tuple[str, str]]

    @classmethod
    def _datamodels_open(cls, init: Any, **kwargs: Any) -> Any:
        """Open a data model; for missions to override.

        Parameters
        ----------
        init : str, pathlib.Path or object
            A file, or whatever else the mission's data models are made of.
        **kwargs
            Options; of an association, ``asn_n_members`` and ``asn_exptypes`` choose members.
        """
        raise NotImplementedError(f"{cls.__name__} does not define _datamodels_open()")

    @classmethod
    def _get_crds_parameters(cls, dataset: Any) -> tuple[dict[str, Any], str]:
        """Read what CRDS matches on; for missions to override with something quicker.

        Parameters
        ----------
        dataset : str, pathlib.Path, data model, library or sequence
            Of several, the first counts; of an association, the first science member.

        Returns
        -------
        dict, str
            The matching parameters by dotted name, and the observatory.
        """
        if is_sequence(dataset):
            if not dataset:
                raise ValueError("an empty list of data")
            return cls._get_crds_parameters(dataset[0])
        if is_library(dataset) or is_model(dataset):
            return dataset.get_crds_parameters(), dataset.crds_observatory
        options: dict[str, Any] = {}
        if is_association(dataset):
            options = {"asn_n_members": 1, "asn_exptypes": ["science"]}
        opened = cls._datamodels_open(dataset, **options)
        with opened if hasattr(opened, "__exit__") else nullcontext(opened) as model:
            if not (is_library(model) or is_model(model) or is_sequence(model)):
                raise TypeError(f"{type(model).__name__} is not a data model")
            return cls._get_crds_parameters(model)

    def get_reference_file(self, input_file: Any, reference_file_type: str) -> Any:
        """Get the reference file that suits the data, or the one given instead.

        Parameters
        ----------
        input_file : data model or str
            The data.
        reference_file_type : str
            Such as ``"flat"``.

        Returns
        -------
        str or data model
            Its path; ``"N/A"`` where none applies; a data model where one was given as the
            override, ``""`` where that is empty.

        Raises
        ------
        ReferenceFileError
            None is selected, or it cannot be read.
        """
        override = self.get_ref_override(reference_file_type)
        if override is None:
            crds_parameters, observatory = self._get_crds_parameters(input_file)
            selected = reference_files(crds_parameters, [reference_file_type], observatory)
            path = selected[reference_file_type]
            recorded = path if path == NOT_APPLICABLE else f"{URI_SCHEME}{Path(path).name}"
        elif is_model(override):
            handle = getattr(override, "override_handle", None)
            recorded = str(handle or f"override://{type(override).__name__}")
            self._reference_files_used.append((reference_file_type, recorded))
            return override
        elif override.startswith(URI_SCHEME):
            _, observatory = self._get_crds_parameters(input_file)
            path, recorded = fetched(override, reference_file_type, observatory), override
        else:
            path = recorded = override
        if path:
            self._reference_files_used.append((reference_file_type, recorded))
        return checked_file(path)

    def get_ref_override(self, reference_file_type: str) -> Any:
        """Find what was given instead of a reference file.

        Returns
        -------
        str, data model or None
            An absolute path, a ``crds://`` URI, ``"N/A"``, an open data model, or None where
            nothing was given.
        """
        override = with_text_paths(getattr(self, override_name(reference_file_type), None))
        if not isinstance(override, str):
            return override
        override = override.strip()
        if override in ("", NOT_APPLICABLE) or override.startswith(URI_SCHEME):
            return override
        return str(Path(override).absolute())

    @classmethod
    def reference_uri_to_cache_path(cls, reference_uri: str, observatory: str) -> str:
        """Say where in the CRDS cache the reference is that a product names.

        Parameters
        ----------
        reference_uri : str
            Such as ``"crds://jwst_miri_flat_0177.fits"``.
        observatory : str
            ``"jwst"`` or ``"roman"``.

        Raises
        ------
        ReferenceFileError
            It is another kind of URI.
        """
        return cache_path(reference_uri, observatory)

    def prefetch(self, *args: Any) -> None:
        """Fetch the reference files before the work starts.

        Parameters
        ----------
        *args
            What ``process`` takes; the first is the data.
        """
        if args and len(self.reference_file_types) and not self.skip:
            self._precache_references(args[0])

    def _precache_references(self, input_file: Any) -> None:
        """Do the fetching; for missions to override.

        A single step asks for its own right away, so there is nothing to do in advance; a
        pipeline fetches those of all its steps.

        Parameters
        ----------
        input_file : str, data model or library
            The data.
        """

"""What a step reads and what it leaves behind: files and their names."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from ..datamodel import is_library, is_model, is_sequence
from ..products.names import in_folder, output_name
from .configuration import Configured
from .identity import LOGGER_NAME

logger = logging.getLogger(f"{LOGGER_NAME}.step")


class Producing(Configured):
    """A step that reads files and writes products.

    Attributes
    ----------
    name_format : str, False or None
        Template for the names of products, with the fields of
        `stpipe_prefect.products.names.output_name`; None for the usual
        ``basename_components_suffix.ext``.
    """

    name_format: ClassVar[str | bool | None] = None

    output_file: str | None
    output_dir: str | None
    output_ext: str
    output_use_model: bool
    save_results: bool
    suffix: Any  # False: leave names as they are
    search_output_file: bool

    _input_filename: str | None = None
    _input_dir: str | None = None

    @property
    def input_dir(self) -> str:
        """The folder of the input, where names without a folder are looked for."""
        return str(self.search_attr("_input_dir", ""))

    @input_dir.setter
    def input_dir(self, input_dir: str | None) -> None:
        self._input_dir = input_dir

    def set_primary_input(self, obj: Any, exclusive: bool = True) -> None:
        """Say what the products are made of; their names, and the input folder, follow from it.

        Parameters
        ----------
        obj : str, pathlib.Path or data model
            The input; anything else names nothing.
        exclusive : bool
            Leave a name alone that is set already, here or in a pipeline above.
        """
        is_path = isinstance(obj, (str, Path))
        if is_path and Path(obj).is_file() and self._may_set("_input_dir", exclusive):
            self.input_dir = os.path.dirname(obj)  # noqa: PTH120 - "" where it names none
        if self._may_set("_input_filename", exclusive):
            if is_path:
                self._input_filename = str(obj)
            elif is_model(obj):
                meta = getattr(obj, "meta", None)  # a container that acts as a model has none
                self._input_filename = getattr(meta, "filename", None)

    def make_input_path(self, file_path: Any) -> Any:
        """Look for a file without a folder in the input folder; leave anything else as it is."""
        if isinstance(file_path, str) and file_path == Path(file_path).name:
            return in_folder(self.input_dir, file_path)
        return file_path

    def open_model(self, init: Any, **kwargs: Any) -> Any:
        """Open a data model, in the input folder where the name has none.

        Parameters
        ----------
        init : str or object
            What the mission's data models are opened from.
        **kwargs
            Options for that.
        """
        opener = self if self.parent is None else self.parent  # a hook may not know how to
        return opener._datamodels_open(self.make_input_path(init), **kwargs)

    def default_output_file(self, input_file: str | None = None) -> str:
        """Name the file that products are named after: the input, or else the step itself."""
        if isinstance(input_file, str):
            return input_file
        return self.search_attr("_input_filename") or f"step_{self.name}{self.output_ext}"

    def default_suffix(self) -> str:
        """Name the suffix of products where none is set."""
        return self.name.lower()

    @staticmethod
    def remove_suffix(name: str) -> tuple[str, str | None]:
        """Remove a known suffix from a name; for missions to override with theirs.

        Returns
        -------
        str, str or None
            The rest, and what separated the two.
        """
        return name, "_"

    @property
    def make_output_path(self) -> Callable[..., str]:
        """The function that names products; see `_make_output_path` for its parameters.

        An instance may put its own in place of ``_make_output_path``.
        """
        return partial(self.search_attr("_make_output_path"), self)

    @staticmethod
    def _make_output_path(
        step: Any,
        basepath: str | None = None,
        ext: str | None = None,
        suffix: str | bool | None = None,
        name_format: str | bool | None = None,
        component_format: str = "",
        separator: str = "_",
        **components: Any,
    ) -> str:
        """Name a product.

        Parameters
        ----------
        step : Step
            Whose product it is.
        basepath : str, optional
            The file to name it after, without its folder; else ``output_file``, the step's
            or that of a pipeline above, else the input.
        ext : str, optional
            Extension; else ``output_ext``.
        suffix : str or False, optional
            Else the ``suffix`` of the step or of a pipeline above, else the step's name.
            False leaves the name as it is.
        name_format, component_format, separator
            As for `stpipe_prefect.products.names.output_name`.
        **components
            Further parts of the name, in this order.

        Returns
        -------
        str
            Path in ``output_dir``, the step's or that of a pipeline above.
        """
        if basepath is None and step.search_output_file:
            basepath = step.search_attr("output_file")
        if basepath is None:
            basepath = step.default_output_file()
        if suffix is None:
            suffix = step.search_attr("suffix")
        name = output_name(
            basepath,
            extension=step.output_ext if ext is None else ext,
            suffix=step.name.lower() if suffix is None else suffix,
            remove_suffix=step.remove_suffix,
            components=components,
            name_format=step.name_format if name_format is None else name_format,
            component_format=component_format,
            separator=separator,
        )
        return in_folder(step.search_attr("output_dir", ""), name)

    def save_model(
        self,
        model: Any,
        suffix: str | bool | None = None,
        idx: Any = None,
        output_file: str | None = None,
        force: bool = False,
        format: str | bool | None = None,
        **components: Any,
    ) -> Any:
        """Save a data model under the name the step gives it, if results are to be saved.

        Parameters
        ----------
        model : data model, library or sequence of data models
            What to save; of several, each gets its index into its name.
        suffix : str or False, optional
            As for `make_output_path`.
        idx : object, optional
            Index, the first of the components.
        output_file : str, optional
            The file to name it after; else the step's ``output_file``.
        force : bool
            Save even if neither ``save_results`` nor ``output_file`` is set.
        format : str or False, optional
            Template for the name, see `name_format`.
        **components
            Further parts of the name.

        Returns
        -------
        str, list of str or None
            Where it was saved, if it was.
        """
        output_file = output_file or self.output_file
        if not (force or self.save_results or output_file):
            return None
        if format is not None:
            components["name_format"] = format
        save: Callable[..., Any] = partial(
            self.save_model, suffix=suffix, force=force, **components
        )
        if is_library(model):
            paths = []
            with model:
                for index, member in enumerate(model):
                    paths.append(save(member, idx=index))
                    model.shelve(member, index)
            return paths
        if is_sequence(model):
            if is_model(model):  # a container: it knows what to do with each of its models
                container: Any = model
                return container.save(path=output_file, save_model_func=save)
            return [save(member, idx=index) for index, member in enumerate(model)]
        if self.output_use_model or (output_file is None and not self.search_output_file):
            output_file, idx = model.meta.filename, None
        path = self.make_output_path(basepath=output_file, suffix=suffix, idx=idx, **components)
        saved = model.save(path)
        logger.info("Saved model in %s", saved)
        return saved

    def finalize_result(self, result: Any, reference_files_used: list[tuple[str, str]]) -> None:
        """Record in a result what it owes to whom, before it is saved; for missions to override.

        Parameters
        ----------
        result : data model
            One result of perhaps several.
        reference_files_used : list of (str, str)
            Type of each reference file used, and its ``crds://`` URI, path or ``"N/A"``.
        """

    def closeout(
        self, to_close: Iterable[Any] | None = None, to_del: Iterable[Any] | None = None
    ) -> None:
        """Close data models that are no longer needed.

        Parameters
        ----------
        to_close : iterable
            Objects; those that have a ``close`` are closed.
        to_del : iterable, optional
            Without effect: what nothing refers to any more is gone by itself.
        """
        for item in to_close or ():
            try:
                getattr(item, "close", lambda: None)()
            except Exception as error:  # one that cannot be closed must not keep others open
                logger.debug("%r could not be closed: %s", item, error)

    def _may_set(self, attribute: str, exclusive: bool) -> bool:
        return not exclusive or self.search_attr(attribute) is None

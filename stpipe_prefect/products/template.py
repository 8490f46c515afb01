"""Format strings of which some fields may be left open, and some values have no field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

_CONVERSION = re.compile(r"(?P<kind>[bcdnoxX])|(?P<real>[eEfFgG%])")


class FormatTemplate:
    """Fill in a format string, as far as values are given.

    A field without a value stays as it is, so that it can be filled in later. A value without
    a field is appended. Fields have names, no numbers.

    Parameters
    ----------
    separator : str
        Comes between the text and each value that is appended.
    key_formats : mapping of str to sequence of str, optional
        Format strings for single values, by name; the first that can show the value is used,
        before it goes into the template. A number format takes text that reads as a number.
    remove_unused : bool
        Remove fields without a value.

    Examples
    --------
    >>> template = FormatTemplate()
    >>> template("{name}_{suffix}", name="jw01", extra="more")
    'jw01_{suffix}_more'
    >>> FormatTemplate(key_formats={"idx": ["s{:03d}", "{:s}"]})("{name}_{idx}", name="a", idx=7)
    'a_s007'
    """

    def __init__(
        self,
        separator: str = "_",
        key_formats: Mapping[str, Sequence[str]] | None = None,
        remove_unused: bool = False,
    ) -> None:
        self.separator = separator
        self.key_formats = dict(key_formats or {})
        self.remove_unused = remove_unused

    def __call__(self, template: str, **values: Any) -> str:
        """Fill in `template`; see the class."""
        shown = {name: self._show(name, value) for name, value in values.items()}
        fields = {name for _, name, _, _ in Formatter().parse(template) if name}
        text = template.format_map({name: shown.get(name, self._open(name)) for name in fields})
        unused = [shown[name] for name in sorted(shown.keys() - fields) if values[name] is not None]
        return self.separator.join([text, *unused])

    format = __call__

    def _open(self, name: str) -> str:
        return "" if self.remove_unused else f"{{{name}}}"

    def _show(self, name: str, value: Any) -> str:
        if value is None:
            return ""
        for key_format in self.key_formats.get(name, ["{:s}"]):
            try:
                return key_format.format(_as_type(key_format, value))
            except ValueError:
                continue
        raise ValueError(
            f"{name} = {value!r} cannot be shown as any of {', '.join(self.key_formats[name])}"
        )


def _as_type(key_format: str, value: Any) -> Any:
    """Convert a value to what the format's last letter asks for."""
    spec = next(spec for _, field, spec, _ in Formatter().parse(key_format) if field is not None)
    kind = _CONVERSION.fullmatch((spec or "s")[-1])
    if kind is None:
        return str(value)
    return int(value) if kind["kind"] else float(value)

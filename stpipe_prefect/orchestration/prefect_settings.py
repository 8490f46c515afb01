"""Prefect's settings, changed for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prefect.context import SettingsContext, get_settings_context


@contextmanager
def changed_settings(changes: Mapping[str, Any]) -> Iterator[None]:
    """Have some settings of Prefect changed within the block.

    Prefect's own ``temporary_settings`` reads the environment and all files of settings again:
    0.1 s, for every exposure.

    Parameters
    ----------
    changes : mapping
        By a setting's path, such as ``"api.url"``; secrets as ``SecretStr``. What Prefect
        derives from a setting, such as ``"ui_url"``, is not changed with it.
    """
    context = get_settings_context()
    settings = context.settings
    for path, value in changes.items():
        settings = _changed(settings, path.split("."), value)
    with SettingsContext(profile=context.profile, settings=settings):
        yield


def _changed(settings: Any, path: list[str], value: Any) -> Any:
    name, *rest = path
    new = _changed(getattr(settings, name), rest, value) if rest else value
    return settings.model_copy(update={name: new})

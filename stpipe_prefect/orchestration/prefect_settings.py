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
        By a setting's path, such as ``"api.url"``; secrets as ``SecretStr``.
    """
    context = get_settings_context()
    settings = context.settings
    for path, value in changes.items():
        group, name = path.split(".")
        changed = getattr(settings, group).model_copy(update={name: value})
        settings = settings.model_copy(update={group: changed})
    with SettingsContext(profile=context.profile, settings=settings):
        yield

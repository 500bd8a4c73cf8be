"""The config group `sweeps`: the files of the root folder sweeps/, and nothing beside them."""

from __future__ import annotations

import builtins
import os
from pathlib import Path
from typing import TYPE_CHECKING

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from gnnpack.commands.folders import conf_dir

if TYPE_CHECKING:
    from hydra.plugins.config_source import ConfigResult

GROUP = "sweeps"


class SweepsSource(FileConfigSource):
    """Shows the YAML files of one folder as the group `sweeps`.

    The folder's parent, which Hydra would have to search otherwise, holds the YAML files of runs
    and of installed packages. Folders inside are no part of it.
    """

    @staticmethod
    def scheme() -> str:
        """What its paths begin with."""
        return "gnnpack-sweeps"

    def available(self) -> bool:
        """Whether the folder is there."""
        return os.path.isdir(self.path)

    def is_group(self, config_path: str) -> bool:
        """Whether the path is the root or the group itself."""
        return config_path.strip("/") in ("", GROUP)

    def is_config(self, config_path: str) -> bool:
        """Whether the path is ``sweeps/NAME`` of a file that is there."""
        group, _, name = config_path.strip("/").partition("/")
        return group == GROUP and "/" not in name and bool(super().is_config(name))

    def load_config(self, config_path: str) -> ConfigResult:
        """Read ``sweeps/NAME``."""
        return super().load_config(config_path.strip("/").partition("/")[2])

    def list(self, config_path: str, results_filter: ObjectType | None) -> builtins.list[str]:
        """The group under the root, the names of the files under the group."""
        if config_path.strip("/") == "":
            return [] if results_filter == ObjectType.CONFIG else [GROUP]
        if results_filter == ObjectType.GROUP:
            return []
        return sorted(path.stem for path in Path(self.path).glob("*.yaml"))


class SweepsSearchPath(SearchPathPlugin):
    """Adds the folders of sweeps to what Hydra searches."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Behind conf/; the working folder's own come before those of the program."""
        main = [part.path for part in search_path.get_path() if part.provider == "main"]
        # Another Hydra program of the same process has a config folder of its own.
        if not any((Path(path) / "packer").is_dir() for path in main if path is not None):
            return
        for folder in reversed(sweep_folders()):
            search_path.append(
                GROUP, f"{SweepsSource.scheme()}://{folder}", SearchPathQuery(provider="main")
            )


def sweep_folders() -> list[Path]:
    """Those that are there: ./sweeps, then the one beside conf/, in a repository or a wheel."""
    places = (Path.cwd() / GROUP, conf_dir().parent / GROUP)
    return list(dict.fromkeys(path.resolve() for path in places if path.is_dir()))


def register_sweeps() -> None:
    """Make the group known to the configs that this process composes from here on."""
    plugins = Plugins.instance()
    for plugin in (SweepsSource, SweepsSearchPath):
        plugins.register(plugin)

"""Packs the command center: it is built with Node.js when a wheel or a source archive is made from a clone.

A source archive carries it built, so that installing one needs no Node.js. From a clone without Node.js the package
is made without it, and the server then shows what to type. An editable installation is left alone: `make web`.
"""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WebBuildHook(BuildHookInterface[Any]):
    """Called by hatchling before it collects the files."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the app where its sources are; fails where that fails."""
        root = Path(self.root)
        if version == "editable" or not (root / "web" / "package.json").exists():
            return
        web = _module(root / "scripts" / "web.py")
        if why := web.missing():
            self.app.display_warning(f"packed without the command center: {why}")
            return
        web.build()


def _module(path: Path) -> ModuleType:
    """A script of this repository, which is no package on the path of a build."""
    spec = importlib.util.spec_from_file_location("runstone_web_build", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""Rooms import only the rooms they may; read from the source, so lazy imports count too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "gnnpack"

MAY_IMPORT = {
    "units": set(),
    "datasets": {"units"},
    "store": {"units"},
    "packing": set(),
    "batching": {"store", "packing"},
    "kernels": set(),
    "models": {"kernels", "batching"},
    "objective": {"batching"},
    "training": {"batching", "models", "objective", "packing"},
    "accelerators": {"training", "batching", "kernels"},
    "tracking": set(),
    "experiments": {"tracking"},
    "bench": None,  # all but commands
    "run": None,
    "commands": None,
}
# Only these know Hydra; packing and units know neither torch nor Lightning.
KNOW_HYDRA = {"run", "commands"}
WITHOUT_TORCH = {"units", "datasets", "store", "packing"}


def rooms() -> list[str]:
    return sorted(
        path.stem
        for path in PACKAGE.iterdir()
        if path.stem not in ("__init__", "__pycache__")
        and (path.suffix == ".py" or (path / "__init__.py").exists())
    )


def imports(room: str) -> list[tuple[str, str]]:
    """(file, imported module) of every import in a room, also those inside functions."""
    folder = PACKAGE / room
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    found = []
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found += [(file.name, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: say gnnpack.{room}, not a relative import"
                module = node.module or ""
                found.append((file.name, module))
                if module == "gnnpack":
                    found += [(file.name, f"gnnpack.{alias.name}") for alias in node.names]
    return found


def test_every_room_has_a_rule():
    assert set(rooms()) <= set(MAY_IMPORT)


@pytest.mark.parametrize("room", rooms())
def test_a_room_imports_only_the_rooms_it_may(room):
    allowed = MAY_IMPORT[room]
    if allowed is None:
        allowed = set(MAY_IMPORT) - ({"commands"} if room != "commands" else set())
    for file, module in imports(room):
        parts = module.split(".")
        if parts[0] == "gnnpack" and len(parts) > 1 and parts[1] in MAY_IMPORT:
            assert parts[1] in allowed | {room}, f"{room}/{file} imports {module}"


@pytest.mark.parametrize("room", rooms())
def test_a_room_knows_only_the_libraries_it_may(room):
    forbidden = set()
    if room not in KNOW_HYDRA:
        forbidden |= {"hydra", "omegaconf"}
    if room in WITHOUT_TORCH:
        forbidden |= {"torch", "pytorch_lightning", "torchmetrics"}
    for file, module in imports(room):
        assert module.split(".")[0] not in forbidden, f"{room}/{file} imports {module}"

"""The layers point one way, and each command imports only what it needs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import theory

ROOT = Path(theory.__file__).parents[1]
ERROR_ALONE = ("pickle", ["UnpicklingError"])
ALLOWED = {"theory": {"theory"}, "empirics": {"theory", "empirics"}}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            name = (node.module or "").partition(".")[0]
            # What a safe reader raises is a name of pickle's, and reads nothing.
            alone = (node.module, [alias.name for alias in node.names]) == ERROR_ALONE
            names |= set() if alone else {name}
    return names


@pytest.mark.parametrize("layer", ["theory", "empirics", "figures"])
def test_imports_point_down(layer: str) -> None:
    layers = {"theory", "empirics", "figures"}
    for path in (ROOT / layer).rglob("*.py"):
        names = imported(path)
        assert names & layers <= ALLOWED.get(layer, layers), path
        if layer != "empirics":
            assert "torch" not in names, path
        if layer != "figures":
            assert "matplotlib" not in names, path
        assert "pickle" not in names or path.name == "cifar_batches.py", path


@pytest.mark.parametrize(
    "statement",
    ["import theory; list(theory.CLAIMS)", "import empirics.cli, empirics.judge, figures.cli"],
)
def test_torch_is_imported_only_where_something_is_measured(statement: str) -> None:
    code = f"import sys; {statement}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0

"""The wheel holds the three packages with their data, and works away from the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import theory

ROOT = Path(theory.__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_contents(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("theory", "empirics", "figures"):
        sources = (p for p in (ROOT / folder).rglob("*") if p.suffix in {".py", ".toml", ".typed"})
        assert {str(p.relative_to(ROOT)) for p in sources} <= names
    assert "empirics/presets/default.toml" in names
    assert "empirics/frozen/default.jsonl.xz" in names
    tops = {name.partition("/")[0] for name in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"theory", "empirics", "figures"}


def test_it_runs_from_another_folder(wheel: Path, tmp_path: Path, tiny_preset: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    work = tmp_path / "work"
    work.mkdir()
    code = (
        "import sys, theory; assert theory.__file__.startswith(sys.argv[1]), theory.__file__;"
        "from theory.command import main; sys.exit(main(sys.argv[2:]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    for arguments in (["run", str(tiny_preset)], ["check", str(tiny_preset)]):
        done = subprocess.run(
            [sys.executable, "-c", code, str(site), *arguments],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert (work / "build" / "verdicts.json").exists()
    assert not list(site.rglob("records"))

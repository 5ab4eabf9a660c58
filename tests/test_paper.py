"""The paper: built from drawn files alone, the same bytes twice, and no number typed."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from figures.registry import FIGURES
from tests.synthetic import CHAPTER, drawn_once

# All that look at the same drawings run in one process, which draws them once.
pytestmark = pytest.mark.xdist_group("drawn")

PAPER = Path(__file__).parent.parent / "paper"
needs_latex = pytest.mark.skipif(shutil.which("latexmk") is None, reason="latexmk is not here")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    shutil.copytree(drawn_once(tmp_path_factory) / "figures", root / "build" / "figures")
    shutil.copytree(PAPER, root / "paper")
    return root


def latex(root: Path) -> tuple[int, str]:
    """Build the paper as the Makefile does; return the exit code and the log."""
    command = ["latexmk", "-pdf", "-silent", "main.tex"]
    done = subprocess.run(command, cwd=root / "paper", capture_output=True, check=False)
    log = (root / "build" / "paper" / "main.log").read_text(errors="replace")
    return done.returncode, log


def sources() -> str:
    return "".join(path.read_text() for path in sorted(PAPER.rglob("*.tex")))


def test_every_key_of_the_paper_is_drawn(tree: Path) -> None:
    known = (tree / "build" / "figures" / "numbers.tex").read_text()
    keys = set(re.findall(r"\\val\{([^}#]*)\}", sources()))
    assert len(keys) > 20
    assert {key for key in keys if rf"\defval{{{key}}}" not in known} == set()


def test_chapters_give_their_numbers_and_captions(tree: Path) -> None:
    known = (tree / "build" / "figures" / "numbers.tex").read_text()
    named = dict(re.findall(r"\\defval\{(.*?)\}\{(.*)\}\n", known))
    for plate in ("robustness", "laws", "adversarial", "generators"):
        own = (tree / "build" / "figures" / CHAPTER / f"{plate}.json").read_text()
        assert json.loads(own)["preset"] == CHAPTER
        assert len(named[f"{CHAPTER}:{plate}.caption"]) > 40
    assert not re.search(r"(?<!\\)%", "".join(named.values()))
    assert named[f"{CHAPTER}:robustness.ppca.mlp.error_real"] == "0.072"


def test_no_measured_number_is_typed() -> None:
    sections = "".join(path.read_text() for path in (PAPER / "sections").glob("*.tex"))
    words = re.sub(r"\\(val|ref|autoref|label|citep?t?|input|withfigure)\{[^}]*\}", "", sections)
    assert not re.findall(r"\d+\.\d+|\d+\s*\\%", words)


def test_every_figure_and_table_of_results_is_in_the_paper() -> None:
    shown = set(re.findall(r"\{\\figures/(\w+)\.(?:pdf|tex)\}", sources()))
    shown |= set(re.findall(r"\\chapterfigure\{#1\}\{(\w+)\}", sources()))
    figures = {plate.name for plate in FIGURES.values() if plate.kind == "figure"}
    assert shown - {"numbers"} == figures | {
        *("outcomes", "robustness", "claims", "hamming", "depth", "lipschitz"),
        *("under_attack", "destruction"),
    }


def test_every_citation_is_in_the_bibliography() -> None:
    cited = set(",".join(re.findall(r"\\cite[pt]\{([^}]*)\}", sources())).split(","))
    known = set(re.findall(r"@\w+\{(\w+),", (PAPER / "refs.bib").read_text()))
    assert cited == known


@needs_latex
def test_the_paper_builds_to_the_same_bytes(tree: Path) -> None:
    code, log = latex(tree)
    assert code == 0, log[-2000:]
    assert not re.findall(r"undefined (?:reference|citation)s?", log)
    assert not re.findall(r"Overfull \\hbox \((?:[3-9]|\d\d)", log)
    pdf = tree / "build" / "paper" / "main.pdf"
    first = pdf.read_bytes()
    shutil.rmtree(tree / "build" / "paper")
    assert latex(tree)[0] == 0
    assert pdf.read_bytes() == first


@needs_latex
def test_an_unknown_key_stops_the_build(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(tree / "paper", tmp_path / "paper")
    shutil.copytree(tree / "build" / "figures", tmp_path / "build" / "figures")
    abstract = tmp_path / "paper" / "sections" / "abstract.tex"
    abstract.write_text(abstract.read_text() + r"\val{laws.no_such_key}")
    code, log = latex(tmp_path)
    assert code != 0
    assert "unknown number 'laws.no_such_key'" in log
    assert not (tmp_path / "build" / "paper" / "main.pdf").exists()


@needs_latex
def test_without_figures_the_build_says_what_to_run(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(tree / "paper", tmp_path / "paper")
    code, log = latex(tmp_path)
    assert code != 0
    assert "run `advbounds draw' first" in log

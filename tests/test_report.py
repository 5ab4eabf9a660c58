"""The report: every verdict in it, and a page that needs nothing else."""

import csv
import html.parser
import re
from pathlib import Path

import pytest

from figures.registry import FIGURES
from figures.report import write_report
from tests.synthetic import CHAPTER, drawn_once
from theory.claim import CLAIMS

# All that look at the same drawings run in one process, which draws them once.
pytestmark = pytest.mark.xdist_group("drawn")


class Page(html.parser.HTMLParser):
    """Sources, links, heading texts and cells of a page; checks that tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in ("img", "meta", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open[-3:]):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = drawn_once(tmp_path_factory)
    assert write_report("default", folder) == [folder / "report.md", folder / "report.html"]
    return folder


@pytest.fixture(scope="module")
def page(build: Path) -> Page:
    parsed = Page()
    parsed.feed((build / "report.html").read_text())
    assert not parsed.open
    return parsed


def test_chapters_come_last_with_their_own_figures(build: Path) -> None:
    text = (build / "report.md").read_text()
    before, _, after = text.partition(f"# Preset {CHAPTER}\n")
    assert before
    assert f"(figures/{CHAPTER}/" not in before
    assert f"(figures/{CHAPTER}/laws.png)" in after
    assert "(figures/laws.png)" not in after


def test_the_page_needs_nothing_else(build: Path, page: Page) -> None:
    figures = [plate for plate in FIGURES.values() if plate.kind == "figure"]
    chapter = list((build / "figures" / CHAPTER).glob("*.png"))
    assert len(page.sources) == len(figures) + len(chapter)
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    text = re.sub(r"data:image/png;base64,[\w+/=]+", "", (build / "report.html").read_text())
    assert not re.search(r"https?://|@import|url\(|<script", text)


def test_every_verdict_is_in_the_report(build: Path, page: Page) -> None:
    with (build / "figures" / "verdicts.csv").open(newline="") as file:
        verdicts = list(csv.DictReader(file))
    assert len(verdicts) > 30
    shown = [(row[0], row[1], row[3], row[4]) for row in page.rows if len(row) == 5]
    for verdict in verdicts:
        line = verdict["claim"], verdict["subject"], verdict["outcome"], verdict["reason"]
        assert line in shown


def test_order_and_readable_statements(build: Path) -> None:
    text = (build / "report.md").read_text()
    own = text.partition(f"# Preset {CHAPTER}")[0]
    heads = re.findall(r"^## (.*)$", own, flags=re.MULTILINE)
    assert heads[0] == "Verdicts"
    assert heads[1].startswith("Error rates")
    assert heads[-1] == "Every verdict"
    theory = [plate.title for plate in FIGURES.values() if plate.from_theory]
    assert set(heads[-3 - len(theory) : -3]) == set(theory)
    assert heads[-3] == "The claims in full"
    for claim in CLAIMS.values():
        assert f"**{claim.id}** ({claim.status}; " in text
    for leftover in ("\\", "$", "{"):
        assert leftover not in text


def test_pictures_of_the_markdown_are_there(build: Path) -> None:
    names = re.findall(r"!\[.*?\]\((.*?)\)", (build / "report.md").read_text())
    assert names
    assert all((build / name).is_file() for name in names)


def test_same_records_same_bytes(build: Path) -> None:
    files = [build / "report.md", build / "report.html"]
    before = [file.read_bytes() for file in files]
    write_report("default", build)
    assert [file.read_bytes() for file in files] == before


def test_what_is_not_drawn_is_named(build: Path) -> None:
    write_report("another", build)
    assert "Not drawn, for want of records: " in (build / "report.md").read_text()
    write_report("default", build)

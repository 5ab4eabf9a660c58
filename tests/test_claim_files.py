"""Claims of a user's file: found, told apart, and refused in one line where the file is wrong."""

import fnmatch
from pathlib import Path

import pytest

from theory.claim import CLAIMS
from theory.claim_files import claim_file, claims_option, load_claims
from theory.errors import InputError
from theory.pages import believed_because, page, statement

HEAD = """
from theory.claim import Bound, Kind, Quantity, Ref, Relation, conjecture
from theory.parameter import Integers, Parameter
"""
CLAIM = '''
@conjecture(
    "{id}",
    kind=Kind.SCALAR,
    quantities=(Quantity("n_linear_regions"),),
    relation=Relation.AT_MOST,
    ref=Ref("mine", "a note", "its end"),
    setting="Let $n$ be the number of regions of a network of $w$ units",
    bound=Bound((Parameter("width", "w", "units", Integers(1, 9), 3),), lambda width: 2 * width),
)
def claimed(facts, quantity):
    """Regions are twice as many as units.

    Hypotheses: one hidden layer.

    Believed because: each line
    adds two.
    """
    return 2 * facts["hidden_widths"][0]
'''


@pytest.fixture(autouse=True)
def _own_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take back what a test registers."""
    from theory import claim_files

    len(CLAIMS)
    monkeypatch.setattr(CLAIMS, "_items", dict(CLAIMS._items))
    monkeypatch.setattr(claim_files, "_LOADED", {})


def write(folder: Path, *ids: str, name: str = "my_claim.py") -> Path:
    path = folder / name
    path.write_text(HEAD + "".join(CLAIM.format(id=each) for each in ids))
    return path


def test_a_file_registers_its_claims(tmp_path: Path) -> None:
    path = write(tmp_path, "mine/two", "mine/one")
    before = set(CLAIMS)
    assert load_claims(path) == ("mine/one", "mine/two")
    assert set(CLAIMS) - before == {"mine/one", "mine/two"}
    assert load_claims(path) == ("mine/one", "mine/two")
    file = claim_file("mine/two")
    assert file is not None
    assert file.text == path.read_text()
    assert claim_file("fawzi2018/thm1") is None


def test_a_changed_file_takes_the_place_of_what_it_was(tmp_path: Path) -> None:
    path = write(tmp_path, "mine/one", "mine/two")
    load_claims(path)
    write(tmp_path, "mine/two", "mine/three")
    assert load_claims(path) == ("mine/three", "mine/two")
    assert "mine/one" not in CLAIMS


def test_a_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("NAME = 'mine/beside'\n")
    path = tmp_path / "claims.py"
    path.write_text("from beside_it import NAME\n" + HEAD + CLAIM.replace('"{id}"', "NAME"))
    assert load_claims(path) == ("mine/beside",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n", "no claim: decorate a function with @conjecture"),
        ("x = 1\ny = x / 0\n", ", line 2: ZeroDivisionError: division by zero"),
        ("def f():\n    return {}['a']\nf()\n", ", line 2, in f: KeyError: 'a'"),
        ("def f(:\n", ", line 1: SyntaxError: "),
        ("import no_such_module\n", ", line 1: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)\n", ", line 1: SystemExit: 3"),
        (HEAD + CLAIM.format(id="fawzi2018/thm1"), "two plug-ins register the claim"),
    ],
)
def test_a_bad_file_is_one_line_and_leaves_nothing(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.py"
    good = HEAD + CLAIM.format(id="mine/first")
    path.write_text(text if "no claim" in says else text + good)
    before = dict(CLAIMS)
    with pytest.raises(InputError) as error:
        load_claims(path)
    message = str(error.value)
    assert says in message
    assert message.startswith(str(path))
    assert "\n" not in message
    assert dict(CLAIMS) == before
    path.write_text(good)
    assert load_claims(path) == ("mine/first",)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.py: No such file"):
        load_claims(tmp_path / "nothing.py")
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"no Python file, byte 0 is no UTF-8"):
        load_claims(tmp_path / "binary.py")


@pytest.mark.parametrize(
    "ids",
    [("mine/a",), ("mine/a", "mine/b"), ("my-a/x", "my-b/x"), ("a/own", "z/own"), ("mine/[x]",)],
)
def test_the_option_matches_the_claims_of_the_file_alone(
    tmp_path: Path, ids: tuple[str, ...]
) -> None:
    pattern = claims_option(str(write(tmp_path, *ids)))
    assert tuple(fnmatch.filter(CLAIMS, pattern)) == ids
    assert claims_option("fawzi2018/*") == "fawzi2018/*"


def test_ids_that_no_pattern_tells_apart(tmp_path: Path) -> None:
    path = write(tmp_path, "fawzi2018/mine", "shamir2019/own")
    with pytest.raises(InputError, match=r"let the ids begin alike .* 'my_claim/\.\.\.'"):
        claims_option(str(path))


def test_the_page_of_a_claim(tmp_path: Path) -> None:
    load_claims(write(tmp_path, "mine/one"))
    claim = CLAIMS["mine/one"]
    assert believed_because(claim) == "each line adds two."
    assert r"Then \[ n_{\mathrm{linear\ regions}} \le 2 w. \]" in statement(claim)
    text = page(claim)
    for part in (
        "## mine/one",
        "**Status.** conjecture",
        "**Source.** a note, its end",
        "**Hypotheses.** One hidden layer.",
        "**Believed because.** Each line adds two.",
        "`advbounds falsify mine/one`",
        "```latex",
    ):
        assert part in text


@pytest.mark.parametrize(
    "name", ["fawzi2018/unconstrained-below-in-distribution", "shamir2019/eleven-pixels"]
)
def test_a_page_without_a_formula(name: str) -> None:
    claim = CLAIMS[name]
    text = page(claim)
    assert statement(claim) in text
    assert text.count("```") == 2

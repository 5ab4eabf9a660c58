"""Claims from a file that the user names: it is executed, and what it registers is told apart."""

import fnmatch
import hashlib
import importlib.util
import itertools
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from theory.claim import CLAIMS
from theory.errors import InputError


@dataclass(frozen=True)
class ClaimFile:
    """A file that claims came from.

    Attributes
    ----------
    path : Path
    sha256 : str
        Of its bytes, in hexadecimal.
    text : str
    claims : tuple of str
        The ids that it registered, in alphabetical order.
    """

    path: Path
    sha256: str
    text: str
    claims: tuple[str, ...]


_LOADED: dict[Path, ClaimFile] = {}


def load_claims(path: Path) -> tuple[str, ...]:
    """Execute a file of claims, and return the ids that it registers.

    A file that was loaded before and has not changed is not executed again; one that has changed
    takes the place of what it was.

    Parameters
    ----------
    path : Path
        A Python file, of which each claim is a function decorated by `theory.claim.conjecture` (or
        `theorem`, or `refuted`). It may import what lies beside it.

    Returns
    -------
    tuple of str
        In alphabetical order.

    Raises
    ------
    InputError
        If there is no such file, it fails (its own error, with the line), it registers a claim that
        is known already, or it registers none.
    """
    where = path.resolve()
    try:
        data = where.read_bytes()
        text = data.decode()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no Python file, byte {error.start} is no UTF-8") from error
    sha256 = hashlib.sha256(data).hexdigest()
    known = _LOADED.get(where)
    if known is not None and known.sha256 == sha256:
        return known.claims
    registered = CLAIMS._items
    before = dict(registered) if len(CLAIMS) else {}
    if known is not None:
        for name in known.claims:
            registered.pop(name, None)
    try:
        _execute(where, str(path))
        new = tuple(sorted(set(registered) - set(before) | _again(known, registered)))
        if not new:
            raise InputError(f"{path}: no claim: decorate a function with @conjecture")
    except BaseException:
        # A file that failed half-way leaves nothing behind: it can be mended and loaded again.
        registered.clear()
        registered.update(before)
        raise
    _LOADED[where] = ClaimFile(where, sha256, text, new)
    return new


def _again(known: ClaimFile | None, registered: Mapping[str, object]) -> set[str]:
    return set() if known is None else {name for name in known.claims if name in registered}


def claim_file(claim: str) -> ClaimFile | None:
    """Return the file that a claim was loaded from; None for those of installed packages."""
    return next((file for file in _LOADED.values() if claim in file.claims), None)


def claims_option(text: str) -> str:
    """Return a shell pattern of claim ids for what a user wrote after `--claims`.

    Parameters
    ----------
    text : str
        A shell pattern, which comes back as it is; or a .py file, which is loaded: the pattern then
        matches the claims of that file and no others.

    Raises
    ------
    InputError
        If the file is no file of claims, or no one pattern tells its claims from the others.

    Examples
    --------
    >>> claims_option("fawzi2018/*")
    'fawzi2018/*'
    """
    if not text.endswith(".py"):
        return text
    own = load_claims(Path(text))
    first = _common_beginning(own)
    last = _common_beginning([name[::-1] for name in own])[::-1]
    group = first.rpartition("/")[0]
    patterns = [_escaped(own[0])] if len(own) == 1 else []
    patterns += [f"{_escaped(group)}/*"] if group else []
    patterns += [f"{_escaped(first)}*", f"{_escaped(first)}*{_escaped(last)}", f"*{_escaped(last)}"]
    for pattern in patterns:
        if tuple(fnmatch.filter(CLAIMS, pattern)) == own:
            return pattern
    raise InputError(
        f"{text}: no pattern tells its claims from the others: let the ids begin alike and as no"
        f" other does, such as '{Path(text).stem}/...'; they are {', '.join(own)}"
    )


def _common_beginning(names: Sequence[str]) -> str:
    least, most = min(names), max(names)
    alike = (one == other for one, other in zip(least, most, strict=False))
    return least[: sum(itertools.takewhile(bool, alike))]


def _escaped(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _execute(where: Path, shown: str) -> None:
    name = f"advbounds_claims_{hashlib.sha256(str(where).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, where)
    if spec is None or spec.loader is None:
        raise InputError(f"{shown}: no Python file")
    module = importlib.util.module_from_spec(spec)
    # Data classes and pickling look their own module up.
    sys.modules[name] = module
    with _importing_from(where.parent):
        try:
            spec.loader.exec_module(module)
        except InputError as error:
            raise InputError(f"{shown}: {error}") from error
        except (Exception, SystemExit) as error:  # the file may raise anything
            raise InputError(f"{shown}{_line(error, where)}: {_said(error)}") from error


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(str(folder))


def _line(error: BaseException, where: Path) -> str:
    """Return the place in the user's own file that an error came from."""
    if isinstance(error, SyntaxError) and error.filename == str(where):
        return f", line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == str(where)]
    if not own:
        return ""
    inside = "" if own[-1].name == "<module>" else f", in {own[-1].name}"
    return f", line {own[-1].lineno}{inside}"


def _said(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__

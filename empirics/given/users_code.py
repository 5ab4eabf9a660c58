"""A module that a user names: their file or package is executed because it is named, and said so.

Errors in it are the user's: what is shown is the last line of theirs that was running, and the
error it raised.
"""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from theory.errors import InputError, nearest

Function = Callable[..., Any]
_NOT_OWN = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<frozen importlib")


def short_traceback(error: BaseException, path: Path | None = None) -> str:
    """Return where in a user's file an error arose, that line, and the error, in one line.

    Parameters
    ----------
    error : BaseException
        As caught.
    path : Path, optional
        The user's file; by default the last frame is named that is in neither torch nor here.

    Examples
    --------
    >>> try:
    ...     {}["width"]
    ... except KeyError as error:
    ...     said = short_traceback(error)
    >>> said.endswith("KeyError: 'width'")
    True
    """
    kind = type(error).__name__
    said = ": ".join((kind, *str(error).splitlines()[:1]))
    if isinstance(error, SyntaxError) and error.filename:
        line = (error.text or "").strip()
        return f"{Path(error.filename).name}:{error.lineno}: `{line}`: {said}"
    frames = traceback.extract_tb(error.__traceback__)
    if path is not None:
        own = [frame for frame in frames if frame.filename == str(path)]
    else:
        own = [frame for frame in frames if not frame.filename.startswith(_NOT_OWN)]
    if not own:
        return said
    last = own[-1]
    return f"{Path(last.filename).name}:{last.lineno}, in {last.name}: `{last.line}`: {said}"


@contextmanager
def running_in(folder: Path, seed: int = 0) -> Iterator[None]:
    """Let imports find what lies in a folder, and draws come from a random state of their own."""
    sys.path.insert(0, str(folder))
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def executed(path: Path, content: bytes) -> ModuleType:
    """Return what a Python file defines, by executing it; nothing is written beside it.

    Parameters
    ----------
    path : Path
        Its place: for imports beside it, and for tracebacks.
    content : bytes
        What it says.

    Raises
    ------
    InputError
        With the user's own traceback, short, if it raises.
    """
    name = f"given_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    # Dataclasses and others look their module up by its name.
    sys.modules[name] = module
    try:
        with running_in(path.parent):
            exec(compile(content, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise InputError(f"{path} does not import: {short_traceback(error, path)}") from error
    return module


def imported(name: str) -> ModuleType:
    """Return a module that can be imported, also from the current folder.

    Raises
    ------
    InputError
        With the user's own traceback, short, if it cannot be.
    """
    try:
        with running_in(Path.cwd()):
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise InputError(f"{name} does not import: {short_traceback(error)}") from error


def attribute(module: ModuleType, name: str, source: str) -> Any:  # noqa: ANN401
    """Return what a module calls by this name, dots included.

    Raises
    ------
    InputError
        If there is none; the nearest of its networks and functions is named.
    """
    try:
        return attrgetter(name)(module)
    except AttributeError as error:
        known = [key for key, value in vars(module).items() if _may_be_network(value, module)]
        raise InputError(f"{source} has no '{name}': {nearest(name, known)}") from error


def _may_be_network(value: object, module: ModuleType) -> bool:
    if isinstance(value, nn.Module):
        return True
    own = getattr(value, "__module__", None) == module.__name__
    if isinstance(value, type):
        return own and issubclass(value, nn.Module)
    return own and inspect.isfunction(value)


def built(named: Any, source: str, facts: Mapping[str, Any]) -> tuple[nn.Module, bool]:  # noqa: ANN401
    """Return the network that a user's class, function or instance is.

    Parameters
    ----------
    named : class, function or nn.Module
    source : str
        What the user wrote, for messages.
    facts : mapping
        Keyword arguments that it gets where its signature names them.

    Returns
    -------
    nn.Module
    bool
        Whether it comes with weights of its own: two calls from other random states have equal
        parameters, or it is a module already.

    Raises
    ------
    InputError
        If it raises, needs other arguments, or gives no module.
    """
    if isinstance(named, nn.Module):
        return named, True
    if not callable(named):
        raise InputError(
            f"{source} is of type {type(named).__name__}: expected a torch.nn.Module, or a class"
            " or function that gives one"
        )
    arguments = _arguments(named, source, facts)
    first, second = (_called(named, source, arguments, seed) for seed in (0, 1))
    if first is second:
        return first, True
    ours, theirs = first.state_dict(), second.state_dict()
    return first, ours.keys() == theirs.keys() and all(
        map(torch.equal, ours.values(), theirs.values())
    )


def _arguments(function: Function, source: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # written in C, without a signature
        return {}
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    given = {p.name: facts[p.name] for p in parameters if p.name in facts and p.kind in by_name}
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for parameter in parameters:
        needed = parameter.default is inspect.Parameter.empty and parameter.kind not in several
        if needed and parameter.name not in given:
            raise InputError(
                f"{source} needs an argument '{parameter.name}': name a function without"
                f" arguments, or with some of {', '.join(facts)}"
            )
    return given


def _called(named: Function, source: str, arguments: Mapping[str, Any], seed: int) -> nn.Module:
    code = getattr(inspect.getmodule(named), "__file__", None)
    folder = Path(code).parent if code else Path.cwd()
    try:
        with running_in(folder, seed):
            module = named(**arguments)
    except (Exception, SystemExit) as error:
        path = Path(code) if code else None
        raise InputError(f"{source} fails: {short_traceback(error, path)}") from error
    if not isinstance(module, nn.Module):
        raise InputError(f"{source} gives a {type(module).__name__}: expected a torch.nn.Module")
    return module

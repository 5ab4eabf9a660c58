"""How long requests took, kept beside the records: what a dry run estimates from."""

import contextlib
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from empirics.record import Request
from empirics.store import write_safely


@dataclass(frozen=True)
class Time:
    """What one request took.

    Attributes
    ----------
    id, action, plugin : str
        Of the request.
    device : str
        "cpu", "cuda" or "mps".
    seconds : float
        Wall-clock time.
    """

    id: str
    action: str
    plugin: str
    device: str
    seconds: float


def _path(root: Path) -> Path:
    return root / "times.jsonl"


def _packaged() -> Path:
    return Path(str(resources.files("empirics"))) / "frozen"


def _read(path: Path) -> list[Time]:
    """Return the times of a file; a line that was cut short by a kill is left out."""
    if not path.is_file():
        return []
    times = []
    for line in path.read_text().splitlines():
        try:
            times.append(Time(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return times


def note(root: Path, request: Request, device: str, seconds: float) -> None:
    """Append what a request took to the times of a build folder."""
    time = Time(request.id, request.action, request.plugin, device, round(seconds, 3))
    # Only an estimate is lost where this cannot be written; records say so themselves.
    with contextlib.suppress(OSError), _path(root).open("a") as file:
        file.write(json.dumps(asdict(time)) + "\n")


def freeze(root: Path, requests: Iterable[Request]) -> None:
    """Commit the latest times of these requests beside the frozen records."""
    wanted = {request.id for request in requests}
    kept = {(t.id, t.device): t for t in _read(_path(_packaged()))}
    kept |= {(t.id, t.device): t for t in _read(_path(root)) if t.id in wanted}
    lines = [json.dumps(asdict(kept[key])) + "\n" for key in sorted(kept)]
    write_safely(_path(_packaged()), "".join(lines).encode())


@dataclass(frozen=True)
class Estimates:
    """Times of requests that were carried out before, here or by those who froze the records."""

    times: Sequence[Time]

    @classmethod
    def of(cls, root: Path, device: str) -> "Estimates":
        """Return those on a kind of device; what was seen in this build folder comes last."""
        known = [*_read(_path(_packaged())), *_read(_path(root))]
        return cls([time for time in known if time.device == device])

    def seconds(self, request: Request) -> tuple[float, str] | None:
        """Return an estimate and what it rests on: "same" request or "like" ones; None if none."""
        same = [t.seconds for t in self.times if t.id == request.id]
        if same:
            return same[-1], "same"
        like = [
            t.seconds
            for t in self.times
            if (t.action, t.plugin) == (request.action, request.plugin)
        ]
        return (statistics.median(like), "like") if like else None

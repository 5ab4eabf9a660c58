"""Progress bars with the time left, on stderr, for all that takes more than a few seconds."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """Yield the items under a bar that shows itself after two seconds and then goes away."""
    bar = tqdm(
        items, desc=title, total=total, file=sys.stderr, delay=2, leave=False, mininterval=0.5
    )
    yield from bar

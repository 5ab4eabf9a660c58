"""Lipschitz constants by network and method, in numbers, with what they took."""

from figures.lipschitz import UPPER_METHODS, Network, networks, rounded
from figures.registry import Row, Section, Table, Value, table
from figures.view import View
from figures.wording import escape, number

_NONE = "--"
_HEADS = ("network", "$L$", r"$L_{\mathrm{free}}$", r"$L_{\mathrm{sdp}}$")
_UPPER = tuple(method for method in reversed(UPPER_METHODS) if method != "semidefinite")
_TIMED = ("sampled", "exact", "free pattern", "semidefinite", *_UPPER)
_SHORTEST = 1e-4
"""CPU seconds are kept to so much."""


@table(
    "lipschitz",
    title="Lipschitz constants by network and method",
    needs=("lipschitz",),
    also=("modulus",),
)
def lipschitz(view: View) -> Table:
    """A section a data set, a line a network, a column a method; times last, if there are any."""
    shown = networks(view)
    several = len({network.data for network in shown}) > 1
    columns = [*_HEADS, *(escape(method) for method in _UPPER), "verified"]
    bodies: dict[str, list[list[str]]] = {}
    for network in shown:
        bodies.setdefault(network.data if several else "", []).append(_cells(network))
    sections = [Section(escape(data), columns, body) for data, body in bodies.items()]
    timed = [network for network in shown if _seconds(network)]
    if timed:
        methods = [name for name in _TIMED if any(name in _seconds(n) for n in timed)]
        lines = [_time_cells(network, methods, several) for network in timed]
        sections.append(Section("CPU seconds", ["network", *map(escape, methods)], lines))
    rows = [row for network in shown for row in _rows(network)]
    return Table(sections, rows, _numbers(shown), _caption(bool(timed)))


def _cells(network: Network) -> list[str]:
    lower = network.lower
    true = rf"$\ge$ {rounded(lower, up=False)}" if lower > 0 else _NONE
    if network.exact is not None:
        true = _interval(lower, network.exact)
    free = network.free_pattern
    best, least = network.upper("semidefinite"), network.semidefinite_lower
    semidefinite = _NONE if best is None else rf"$\le$ {rounded(best, up=True)}"
    if best is not None and least is not None:
        semidefinite = _interval(least, best)
    uppers = [network.upper(method) for method in _UPPER]
    return [
        escape(network.label),
        true,
        _NONE if free is None else rf"$\ge$ {rounded(free, up=False)}",
        semidefinite,
        *(_NONE if upper is None else rounded(upper, up=True) for upper in uppers),
        _verified(network),
    ]


def _interval(lower: float, upper: float) -> str:
    """Return both ends in brackets, rounded outward."""
    return f"[{rounded(lower, up=False)}, {rounded(upper, up=True)}]"


def _verified(network: Network) -> str:
    checked = [c.verified for c in network.constants.values() if c.verified is not None]
    return f"{sum(checked)} of {len(checked)}" if checked else _NONE


def _seconds(network: Network) -> dict[str, float]:
    return {name: c.seconds for name, c in network.constants.items() if c.seconds is not None}


def _time_cells(network: Network, methods: list[str], several: bool) -> list[str]:
    name = f"{network.label} ({network.data})" if several and network.data else network.label
    seconds = _seconds(network)
    return [escape(name), *(_time(seconds.get(method)) for method in methods)]


def _time(seconds: float | None) -> str:
    if seconds is None:
        return _NONE
    return number(seconds, 2) if seconds >= 1e-3 else f"{max(seconds, _SHORTEST):.4f}"


def _rows(network: Network) -> list[Row]:
    head: dict[str, Value] = {"network": network.label, "data": network.data}
    head["role"] = "generator" if network.is_generator else "classifier"
    rows: list[Row] = []
    for name, found in network.constants.items():
        lower = found.lower
        if name == "semidefinite":
            # The solver's own lower end, of the least bound and not of the constant.
            lower = network.semidefinite_lower
        verified = None if found.verified is None else ("yes" if found.verified else "no")
        ends: dict[str, Value] = {"lower": lower, "upper": found.upper, "verified": verified}
        rows.append({**head, "method": name, **ends, "seconds": found.seconds})
    return rows


def _numbers(shown: list[Network]) -> dict[str, Value]:
    checked = [c for n in shown for c in n.constants.values() if c.verified is not None]
    return {
        "networks": len(shown),
        "certificates": len(checked),
        "verified": sum(c.verified is True for c in checked),
        "data": ", ".join(dict.fromkeys(n.data for n in shown if n.data)) or "none",
    }


def _caption(timed: bool) -> str:
    words = [
        "Lipschitz constants of networks with hidden units, $\\ell_2$ to $\\ell_2$: the true one"
        " ($L$), the largest norm over free patterns of slopes ($L_{\\mathrm{free}}$), the least"
        " semidefinite bound ($L_{\\mathrm{sdp}}$), and certified upper ends of $L$. Upper ends are"
        " rounded up and lower ends down; the upper end of $L_{\\mathrm{sdp}}$ is one of $L$ too."
        " Verified: how many of the certificates with multipliers passed the check."
    ]
    if timed:
        words.append("CPU seconds are those of one run, each method by itself.")
    return " ".join(words)

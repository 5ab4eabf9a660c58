"""The table of destruction rates: what brings the right label of an adversarial image back."""

from collections.abc import Sequence
from itertools import product

from figures.destruction import (
    CASES,
    LOSSY,
    METHODS,
    TONES,
    Network,
    Tally,
    by_budget,
    by_method,
    by_top,
    by_transformation,
)
from figures.hamming import Rate, data_and_label, percent
from figures.printed import printed
from figures.registry import Row, Section, Table, Value, table
from figures.view import NothingToDraw, View
from figures.wording import escape, number

_PHOTO = "print_photo"
_NONE = "--"


@table("destruction", title="Destruction rates of adversarial images", needs=("destruction",))
def destruction(view: View) -> Table:
    """A section a network, a line a transformation, a column an attack; then photographs."""
    networks = [Network(record) for record in view.measured("destruction")]
    if not networks:
        raise NothingToDraw("no destruction rate of any network")
    sections = [_section(network) for network in networks]
    sections += [found for network in networks if (found := _photos(network)) is not None]
    if len(sections) > len(networks):
        sections.append(_printed_section())
    rows = [row for network in networks for row in _rows(network)] + _printed_rows()
    return Table(sections, rows, _numbers(networks), _caption(networks))


def _section(network: Network) -> Section:
    heads = [f"{_initial(method)} {eps:g}" for method, eps in network.attacks]
    everyone = range(len(network.attacks))
    trials = [number(int(network.facts["average"]["trials"][a][0])) for a in everyone]
    n = int(network.facts["n"])
    body = [["fooled images", _NONE, *trials]]
    clean = [percent(int(network.facts["clean_right"][0]) / n)]
    body.append(["no transformation", *clean, *("0" for _ in everyone)])
    for change in range(len(network.transformations)):
        right = int(network.facts["transformed_right"][change][0]) / n
        cells = [_cell(network.rate(attack, change)) for attack in everyone]
        body.append([escape(network.words(change)), percent(right), *cells])
    title = f"{escape(network.name)}, first label"
    return Section(title, ["transformation", "clean", *heads], body)


def _initial(method: str) -> str:
    return method[0].upper()


def _cell(rate: Rate | None) -> str:
    return _NONE if rate is None else percent(rate.share)


def _with_limits(rate: Rate | None) -> str:
    if rate is None:
        return _NONE
    low, high = rate.limits
    return f"{percent(rate.share)} [{percent(low)}, {percent(high)}]"


def _photos(network: Network) -> Section | None:
    """Return the rates of the simulated photograph nearest to severity 1, by case and top."""
    there = [i for i, (name, _) in enumerate(network.transformations) if name == _PHOTO]
    if not there:
        return None
    change = min(there, key=lambda i: abs(network.transformations[i][1] - 1))
    columns = ["attack", *(f"{case}, top {k}" for case in CASES for k in network.tops)]
    body = []
    for attack, (method, eps) in enumerate(network.attacks):
        places = product(CASES, range(len(network.tops)))
        rates = [network.rate(attack, change, top, case) for case, top in places]
        body.append([f"{escape(method)} {eps:g}", *map(_with_limits, rates)])
    return Section(f"{escape(network.name)}, {escape(network.words(change))}", columns, body)


def _printed_section() -> Section:
    paper = printed("kurakin2017")
    columns = ["attack", *(f"{case}, top {k}" for case in CASES for k in (1, 5))]
    body = [
        [
            f"{escape(row['method'])} {row['eps']}/{paper['levels']}",
            *(str(row[f"{case}_top{k}"]) for case in CASES for k in (1, 5)),
        ]
        for row in paper["row"]
    ]
    title = f"{paper['network']} ({paper['data']}), photographs, as printed"
    return Section(title, columns, body)


def _rows(network: Network) -> list[Row]:
    data, label = data_and_label(network.record)
    rows: list[Row] = []
    n = int(network.facts["n"])
    for change, (name, strength) in enumerate(network.transformations):
        right = network.facts["transformed_right"][change]
        for attack, (method, eps) in enumerate(network.attacks):
            for case, (top, k) in product(CASES, enumerate(network.tops)):
                row: dict[str, Value] = {"network": label, "data": data, "case": case, "top": k}
                row |= {"transformation": name, "strength": strength, "method": method, "eps": eps}
                row["clean_accuracy"] = int(right[top]) / n
                rate = network.rate(attack, change, top, case)
                row |= {"fooled": rate.trials if rate else 0}
                if rate is not None:
                    low, high = rate.limits
                    ends: dict[str, Value] = {"low": low, "high": high}
                    row |= {"destroyed": rate.count, "rate": rate.share, **ends}
                rows.append(row)
    return rows


def _printed_rows() -> list[Row]:
    paper = printed("kurakin2017")
    rows: list[Row] = []
    for line, case, k in product(paper["row"], CASES, (1, 5)):
        row: dict[str, Value] = {"network": paper["network"], "data": paper["data"], "case": case}
        row |= {"top": k, "transformation": "photograph", "method": line["method"]}
        row |= {"eps": line["eps"] / paper["levels"]}
        row["rate"] = float(line[f"{case}_top{k}"]) / 100
        rows.append(row)
    return rows


def _numbers(networks: Sequence[Network]) -> dict[str, Value]:
    first = networks[0]
    numbers: dict[str, Value] = {"networks": len(networks), "images": int(first.facts["n"])}
    numbers |= {"attacks": len(first.attacks), "transformations": len(first.transformations)}
    tallies = {
        "fast_basic": Tally.of(by_method(networks, "fast", "basic")),
        "basic_least": Tally.of(by_method(networks, "basic", "least-likely")),
        "fast_least": Tally.of(by_method(networks, "fast", "least-likely")),
        "tone": Tally.of(by_transformation(networks)),
        "budget": Tally.of(by_budget(networks)),
        "top": by_top(networks),
    }
    for name, tally in tallies.items():
        numbers |= tally.numbers(name)
    for network in networks:
        stem = ".".join(data_and_label(network.record))
        for group, names in (("tone", TONES), ("blur_noise_jpeg", LOSSY), ("photo", (_PHOTO,))):
            for method in METHODS:
                shares = _shares(network, method, names)
                if shares:
                    numbers[f"{stem}.{method}.{group}_min"] = 100 * min(shares)
                    numbers[f"{stem}.{method}.{group}_max"] = 100 * max(shares)
    return numbers


def _shares(network: Network, method: str, names: Sequence[str]) -> list[float]:
    cells = product(enumerate(network.attacks), enumerate(network.transformations))
    rates = [
        network.rate(attack, change)
        for (attack, (own, _)), (change, (name, _)) in cells
        if own == method and name in names
    ]
    return [rate.share for rate in rates if rate is not None]


def _caption(networks: Sequence[Network]) -> str:
    first = networks[0].facts
    used = dict.fromkeys(method for network in networks for method, _ in network.attacks)
    methods = ", ".join(f"{_initial(method)}: {escape(method)}" for method in used)
    devices = dict.fromkeys(str(n.record.provenance.get("device", "?")) for n in networks)
    widths = [
        100 * (rate.limits[1] - rate.limits[0])
        for network in networks
        for attack in range(len(network.attacks))
        for change in range(len(network.transformations))
        if (rate := network.rate(attack, change)) is not None
    ]
    words = (
        "Destruction rates in percent: of the images that are classified correctly and whose"
        " adversarial image is not, the part whose transformed adversarial image is; the first"
        f" {number(int(first['n']))} test images, computed on {escape(', '.join(devices))}."
        f" Columns: method ({methods}) and budget in $\\ell_\\infty$, images in [0, 1]; every image"
        " takes every step. Clean: accuracy on transformed clean images."
    )
    if widths:
        words += (
            f" Exact 95% limits, each rate by itself, are at most {max(widths):.1f} points apart."
        )
    if any(_photos(network) is not None for network in networks):
        paper = printed("kurakin2017")
        words += (
            " Photographs are simulated, with limits in brackets; prefiltered images have a first"
            f" label of probability {first['confidence']:g} or more, clean and adversarial."
            f" As printed: {paper['images']} images a line, a real printer and camera"
            f" (Kurakin et al., Table {paper['table']}); $\\varepsilon$ and classes differ."
        )
    return words

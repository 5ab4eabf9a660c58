"""Records and their store: the same bytes, no half-written file, damage named and set aside."""

import json
import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from empirics.preset_files import packaged_presets
from empirics.record import Record, Request, outward
from empirics.store import StorageError, Store, own_records, preset_records, write_safely
from theory.errors import InputError
from theory.evidence import Interval, Radii


def make_record(seed: int, n: int = 20) -> Record:
    rng = np.random.default_rng(seed)
    lower = rng.exponential(size=n)
    upper = lower + rng.exponential(size=n)
    upper[0] = np.inf
    return Record(
        Request("measure", "radii", {"n": n}, {"generator": {"label": "g"}}, seed),
        {"r_in[l2]": Radii(lower, upper), "lipschitz[l2->l2]": Interval.at_least(2.5)},
        {"n": n, "nested": {"a": [1, 2.5, "x"]}},
        {"images": rng.random((3, 1, 4, 4)).astype(np.float32)},
        {"device": "cpu"},
    )


def same(a: Record, b: Record) -> bool:
    return a.to_parts() == b.to_parts()


def test_round_trip_through_files_and_through_a_line(tmp_path: Path) -> None:
    record, store = make_record(1), Store(tmp_path)
    store.put(record)
    read = store.get(record.id)
    assert read is not None
    assert same(read, record)
    assert same(Record.from_line(record.to_line()), record)
    assert read.facts == record.facts
    assert read.evidence["lipschitz[l2->l2]"] == Interval(2.5, np.inf)


def test_the_same_record_has_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        Store(tmp_path / folder).put(make_record(2))
    for path in (tmp_path / "a" / "records").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "records" / path.name).read_bytes()


def test_stored_intervals_hold_the_measured_ones() -> None:
    rng = np.random.default_rng(3)
    lower = rng.exponential(size=1000) * 10.0 ** rng.integers(-8, 8, 1000)
    radii = Radii(lower, lower * (1 + rng.exponential(size=1000) * 1e-8))
    down, up = outward(radii)
    assert np.all(down.astype(np.float64) <= radii.lower)
    assert np.all(up.astype(np.float64) >= radii.upper)
    np.testing.assert_allclose(down, radii.lower, rtol=2e-7)
    np.testing.assert_allclose(up, radii.upper, rtol=2e-7)


def test_the_id_depends_on_every_part_of_the_request() -> None:
    base = Request("measure", "radii", {"n": 1}, {"data": {"name": "digits"}}, 0)
    others = [
        Request("train", "radii", {"n": 1}, {"data": {"name": "digits"}}, 0),
        Request("measure", "modulus", {"n": 1}, {"data": {"name": "digits"}}, 0),
        Request("measure", "radii", {"n": 2}, {"data": {"name": "digits"}}, 0),
        Request("measure", "radii", {"n": 1}, {"data": {"name": "mnist"}}, 0),
        Request("measure", "radii", {"n": 1}, {"data": {"name": "digits"}}, 1),
    ]
    assert len({base.id, *(other.id for other in others)}) == 6
    assert Request.from_dict(json.loads(json.dumps(base.to_dict()))).id == base.id


@pytest.mark.parametrize("damage", ["json cut", "npz cut", "npz gone", "other id", "not an object"])
def test_a_damaged_record_is_named_and_set_aside(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, store = make_record(4), Store(tmp_path)
    store.put(record)
    path = tmp_path / "records" / f"{record.id}.json"
    arrays = path.with_suffix(".npz")
    match damage:
        case "json cut":
            path.write_bytes(path.read_bytes()[:-40])
        case "npz cut":
            arrays.write_bytes(arrays.read_bytes()[:-40])
        case "npz gone":
            arrays.unlink()
        case "other id":
            path.write_text(path.read_text().replace('"seed": 4', '"seed": 5'))
        case _:
            path.write_text("[]")
    assert store.get(record.id) is None
    assert record.id in capsys.readouterr().err
    assert not path.exists()
    assert path.with_name(path.name + ".damaged").exists()
    store.put(record)
    read = store.get(record.id)
    assert read is not None
    assert same(read, record)


def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "records" / "x.json"
    write_safely(target, b"before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"x\.json: cannot be written") as caught:
            write_safely(target, b"y" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(caught.value)
    assert target.read_bytes() == b"before"
    assert [p.name for p in target.parent.iterdir()] == ["x.json"]


def test_missing_records_name_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`advbounds run nothing` makes them"):
        preset_records("nothing", tmp_path)


def test_an_incomplete_run_serves_what_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, records = Store(tmp_path), [make_record(5), make_record(6)]
    store.put(records[0])
    store.put_plan("half", [record.request for record in records], None)
    found, source = preset_records("half", tmp_path)
    assert [record.id for record in found] == [records[0].id]
    assert source == "measured here"
    assert "1 of 2 records of 'half' are missing" in capsys.readouterr().err


def test_companions_join_and_are_left_out_where_they_have_no_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, records = Store(tmp_path), [make_record(5), make_record(6), make_record(7)]
    for record in records:
        store.put(record)
    requests = [record.request for record in records]
    store.put_plan("own", requests[:2], None, ("shared", "absent"))
    store.put_plan("shared", requests[1:], None)
    found, source = preset_records("own", tmp_path)
    assert [record.id for record in found] == [record.id for record in records]
    assert source == "measured here"
    assert "companion 'absent' of 'own' is left out" in capsys.readouterr().err
    own, _ = own_records("own", tmp_path)
    assert [record.id for record in own] == [record.id for record in records[:2]]
    companions = ("hamming", "depth", "lipschitz", "attacks", "robust", "intervals")
    assert packaged_presets("default", "companions") == (
        *companions,
        "szegedy",
        "szegedy-halves",
        "theorems",
    )
    assert packaged_presets("nothing", "companions") == ()

"""Runs: honest intervals, resumption after a kill in the same bytes, failures that stop nothing."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import special, stats

from empirics.config import load_preset
from empirics.judge import judge_records
from empirics.plan import plan
from empirics.preset_files import fingerprint, read_preset
from empirics.record import Record
from empirics.run import Summary, Workshop, run
from empirics.store import Store, preset_records
from theory.evidence import Radii

CPU = torch.device("cpu")
QUANTITIES = ("r_latent[l2]", "r_in[l2]", "r_unc[l2]")


def measure(preset: Path, build: Path) -> Summary:
    """Run a preset as the command does."""
    inputs = fingerprint(read_preset(str(preset)), None)
    return run(load_preset(str(preset)), build, CPU, inputs)


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A preset file and the build folder in which it was run once."""
    from tests.conftest import TINY

    folder = tmp_path_factory.mktemp("tiny")
    preset = folder / "tiny.toml"
    preset.write_text(TINY)
    summary = measure(preset, folder / "build")
    assert summary.failed == ()
    assert summary.reused == 0
    return preset, folder / "build"


def radii_of(build: Path, title: str) -> dict[str, Radii]:
    records, _ = preset_records("tiny", build)
    (record,) = (r for r in records if r.request.title == title)
    return {name: record.evidence[name] for name in QUANTITIES}


def contents(build: Path) -> dict[str, bytes]:
    """Return every file of a build folder but the times that cells took."""
    files = [p for p in build.rglob("*") if p.is_file() and p.name != "times.jsonl"]
    return {str(p.relative_to(build)): p.read_bytes() for p in files}


def test_a_second_run_measures_nothing(tiny_run: tuple[Path, Path]) -> None:
    preset, build = tiny_run
    before = contents(build)
    summary = measure(preset, build)
    assert summary.measured == 0
    assert summary.reused > 10
    assert contents(build) == before


def test_a_run_with_nothing_to_do_is_seen_without_torch(
    tiny_run: tuple[Path, Path], tmp_path: Path
) -> None:
    preset, build = tiny_run
    code = (
        "import sys; from theory.command import main; code = main(sys.argv[1:]);"
        "sys.exit(code or 7 * ('torch' in sys.modules))"
    )
    arguments = [sys.executable, "-c", code, "run", str(preset), "--build", str(build)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0
    assert "0 cells done" in done.stderr
    # Any change of the preset is noticed.
    changed = tmp_path / preset.name
    changed.write_text(preset.read_text().replace("n = 60", "n = 61"))
    assert Store(build).complete("tiny", fingerprint(read_preset(str(changed)), None)) is None
    assert Store(build).complete("tiny", fingerprint(read_preset(str(preset)), None)) is not None


def test_every_interval_is_an_interval_and_every_point_is_found(
    tiny_run: tuple[Path, Path],
) -> None:
    for pair in (
        "ppca · linear",
        "ppca · mlp",
        "vae · linear",
        "vae · mlp",
        "identity · half_space",
    ):
        radii = radii_of(tiny_run[1], f"radii · {pair}")
        for name, seen in radii.items():
            assert np.all(np.isfinite(seen.upper)), (pair, name)
            assert np.all(seen.lower <= seen.upper)
            assert np.mean(seen.lower > 0) > 0.9
        # A change of label in the range of g is one in image space.
        assert np.all(radii["r_unc[l2]"].upper <= radii["r_in[l2]"].upper * (1 + 1e-6))


def test_linear_on_affine_is_exact(tiny_run: tuple[Path, Path]) -> None:
    for name, seen in radii_of(tiny_run[1], "radii · ppca · linear").items():
        width = (seen.upper - seen.lower) / np.median(seen.upper)
        assert np.median(width) < 2e-3, name
        assert width.max() < 0.02, name


def test_half_space_radii_follow_their_exact_law(tiny_run: tuple[Path, Path]) -> None:
    # P(|z_1 - c| <= t) = Phi(c + t) - Phi(c - t), c = 0.5.
    def law(t: np.ndarray) -> np.ndarray:
        return special.ndtr(0.5 + t) - special.ndtr(0.5 - t)

    for seen in radii_of(tiny_run[1], "radii · identity · half_space").values():
        np.testing.assert_allclose(seen.lower, seen.upper, atol=1e-5)
        assert stats.kstest(seen.upper, law).pvalue > 1e-3


def test_no_theorem_is_violated(tiny_run: tuple[Path, Path]) -> None:
    records, _ = preset_records("tiny", tiny_run[1])
    verdicts = judge_records(records, 0.05)
    assert {v.claim for v in verdicts} >= {"fawzi2018/thm1", "szegedy2014/product-of-norms"}
    assert not [v for v in verdicts if v.outcome == "VIOLATED"]


def test_a_planted_wrong_certificate_violates_the_theorem(tiny_run: tuple[Path, Path]) -> None:
    records, _ = preset_records("tiny", tiny_run[1])

    def planted(record: Record) -> Record:
        if not record.request.title.startswith("radii"):
            return record
        far = {name: Radii(s.upper * 0 + 50, s.upper + 50) for name, s in record.evidence.items()}
        return Record(record.request, far, record.facts)

    verdicts = judge_records([planted(r) for r in records], 0.05, "fawzi2018/thm1")
    assert {v.outcome for v in verdicts} == {"VIOLATED"}


def test_a_weak_attack_alone_decides_nothing(tiny_run: tuple[Path, Path]) -> None:
    records, _ = preset_records("tiny", tiny_run[1])

    def weak(record: Record) -> Record:
        if not record.request.title.startswith("radii"):
            return record
        none = {n: Radii(0 * s.lower, s.upper + 1e3) for n, s in record.evidence.items()}
        return Record(record.request, none, record.facts)

    verdicts = judge_records([weak(r) for r in records], 0.05, "fawzi2018/thm1")
    assert {v.outcome for v in verdicts} == {"UNDECIDED"}


def test_without_a_modulus_the_theorem_is_out_of_scope(tiny_run: tuple[Path, Path]) -> None:
    records, _ = preset_records("tiny", tiny_run[1])
    known = [r for r in records if r.request.plugin != "modulus"]
    verdicts = judge_records(known, 0.05, "fawzi2018/thm1")
    assert {v.outcome for v in verdicts} == {"OUT OF SCOPE"}
    assert any("no certified modulus" in v.reason for v in verdicts)


def command(preset: Path, build: Path, *more: str) -> list[str]:
    code = "import sys; from theory.command import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, "run", str(preset), "--build", str(build), *more]


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(
    tiny_run: tuple[Path, Path], tmp_path: Path
) -> None:
    preset, whole = tiny_run
    build = tmp_path / "build"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    for after in (3, 9):
        with subprocess.Popen(
            command(preset, build, "--device", "cpu"), env=environment, stderr=subprocess.DEVNULL
        ) as process:
            deadline = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < deadline:
                if len(list(build.glob("records/*.json"))) >= after:
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.002)
    assert 0 < len(list(build.glob("records/*.json"))) < len(list(whole.glob("records/*.json")))
    done = subprocess.run(
        command(preset, build, "--device", "cpu"), env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    left = {k: v for k, v in contents(build).items() if not k.endswith(".part")}
    assert left == contents(whole)


def test_a_full_disk_stops_the_run_with_one_line_and_loses_nothing(
    tiny_run: tuple[Path, Path], tmp_path: Path
) -> None:
    preset, whole = tiny_run
    build = tmp_path / "build"

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    stopped = subprocess.run(
        command(preset, build, "--device", "cpu"),
        preexec_fn=small_disk,
        capture_output=True,
        text=True,
    )
    assert stopped.returncode == 2
    assert "cannot be written" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    kept = contents(build)
    assert any(name.startswith("records/") for name in kept)
    measure(preset, build)
    assert contents(build) == contents(whole)
    assert all(contents(build)[name] == kept[name] for name in kept)


def test_a_damaged_record_is_measured_again_in_the_same_bytes(
    tiny_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset, whole = tiny_run
    build = tmp_path / "build"
    shutil.copytree(whole, build)
    before = contents(build)
    victim = sorted(build.glob("records/*.json"))[3]
    victim.write_bytes(victim.read_bytes()[:100])
    summary = measure(preset, build)
    assert summary.measured == 1
    assert victim.name in capsys.readouterr().err
    after = contents(build)
    for path in build.glob("records/*.damaged"):
        after.pop(str(path.relative_to(build)))
        path.unlink()
    assert after == before


def test_lost_checkpoints_are_trained_again_alike(
    tiny_run: tuple[Path, Path], tmp_path: Path
) -> None:
    preset, whole = tiny_run
    build = tmp_path / "build"
    shutil.copytree(whole, build)
    before = contents(build)
    for path in build.glob("checkpoints/*"):
        path.unlink()
    store = Store(build)
    victim = next(
        c for c in store.plan("tiny") or [] if store.get(c).request.title == "radii · vae · mlp"
    )
    (build / "records" / f"{victim}.json").unlink()
    measure(preset, build)
    after = contents(build)
    assert all(before[name] == after[name] for name in after)
    assert f"records/{victim}.json" in after


def test_a_failed_cell_does_not_stop_the_others(tmp_path: Path, tiny_preset: Path) -> None:
    text = tiny_preset.read_text()
    tiny_preset.write_text(text.replace('name = "mlp"', 'name = "mlp"\nlearning_rate = 1e30'))
    done = subprocess.run(
        command(tiny_preset, tmp_path / "build", "--device", "cpu"), capture_output=True, text=True
    )
    assert done.returncode == 3
    assert "train classifier · ppca · mlp: not measured: the loss is" in done.stderr
    radii_of(tmp_path / "build", "radii · vae · linear")
    records, _ = preset_records("tiny", tmp_path / "build")
    assert not any(r.request.title.endswith("· mlp") for r in records)


def test_given_weights_are_used_and_checked_first(
    tiny_run: tuple[Path, Path], tmp_path: Path, tiny_preset: Path
) -> None:
    _, build = tiny_run
    store = Store(build)
    requests = [store.get(c).request for c in store.plan("tiny") or []]
    trained = next(r for r in requests if r.title == "train classifier · vae · mlp")
    weights = tmp_path / "mlp.safetensors"
    weights.write_bytes(store.checkpoint(trained).read_bytes())
    text = tiny_preset.read_text()
    tiny_preset.write_text(text.replace("width = 12", 'width = 12\nweights = "mlp.safetensors"'))
    again = tmp_path / "build"
    measure(tiny_preset, again)
    titles = [r.request.title for r in preset_records("tiny", again)[0]]
    assert "train classifier · vae · mlp" not in titles
    assert "radii · vae · mlp" in titles

    tiny_preset.write_text(tiny_preset.read_text().replace("width = 12", "width = 13"))
    done = subprocess.run(command(tiny_preset, tmp_path / "other"), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "'1.weight' has shape (12, 64), the architecture needs (13, 64)" in done.stderr
    assert not (tmp_path / "other").exists()


def test_stored_adversarial_images_are_what_their_radii_say(tiny_run: tuple[Path, Path]) -> None:
    # By the stored weights alone: nothing of the attack or of its verification takes part.
    preset, build = tiny_run
    workshop = Workshop(load_preset(str(preset)), Store(build), CPU)
    seen = 0
    for cell in plan(workshop.preset):
        record = Store(build).get(cell.request.id)
        assert record is not None
        if cell.request.plugin != "radii" or "data" not in cell.request.subject:
            continue
        classifier = workshop.module("classifier", cell.parts)
        images = {
            name: torch.from_numpy(record.arrays[f"examples.{name}"])
            for name in ("original", "in_distribution", "unconstrained")
        }
        labels = torch.stack([classifier(x).argmax(dim=1) for x in images.values()], dim=1)
        assert (labels.numpy() == record.arrays["examples.labels"]).all()
        assert (labels[:, 0] != labels[:, 1]).all()
        assert (labels[:, 0] != labels[:, 2]).all()
        for name, key in (("in_distribution", "in"), ("unconstrained", "unc")):
            distance = (images[name] - images["original"]).flatten(1).norm(dim=1)
            stored = record.arrays[f"examples.distance_{key}"]
            np.testing.assert_allclose(distance.numpy(), stored, rtol=1e-3, atol=1e-5)
            ends = record.evidence[f"r_{key}[l2]"].upper
            assert all(np.isclose(ends, d, rtol=1e-6).any() for d in stored)
            seen += len(stored)
    assert seen >= 20

"""Cells on a Ray cluster end in the bytes of one process; one that lacks memory goes on."""

import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from empirics.config import load_preset
from empirics.executors.on_ray import OnRay
from empirics.memory import within_memory
from empirics.plugins import Outcome
from empirics.record import Record
from empirics.run import Summary, run
from empirics.settings import setting
from empirics.store import Store
from empirics.workshop import Workshop
from theory.command import main
from theory.errors import InputError

CPU = torch.device("cpu")
SMALL = """
description = "Trainings that rest on each other, and what they are good for"
data = "digits"

[teacher]
name = "linear"
steps = 5

[[generator]]
name = "ppca"
latent_dimension = 3

[[classifier]]
name = "linear"
steps = 5

[[classifier]]
name = "mlp"
width = 8
steps = 5

[[image_classifier]]
name = "linear"
label = "real"
steps = 5

[measure.accuracy]
n = 50

[measure.class_masses]
n = 50
"""


def preset_file(folder: Path, text: str = SMALL) -> Path:
    path = folder / "small.toml"
    path.write_text(text)
    return path


def contents(build: Path) -> dict[str, bytes]:
    """Return the records and the weights of a build folder."""
    files = [*build.glob("records/*"), *build.glob("checkpoints/*")]
    return {str(p.relative_to(build)): p.read_bytes() for p in files}


def titles(build: Path) -> dict[str, str]:
    """Return the titles of all records by id."""
    store = Store(build)
    found = [store.get(path.stem) for path in build.glob("records/*.json")]
    return {record.id: record.request.title for record in found if record is not None}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a preset that one process ran."""
    folder = tmp_path_factory.mktemp("whole")
    preset_file(folder)
    assert run(load_preset(str(folder / "small.toml")), folder / "build", CPU).failed == ()
    return folder


class FakeRay(types.ModuleType):
    """Ray's functions in this process; of what runs side by side, the last ends first."""

    class RayError(Exception):
        """A cluster's."""

    class RayTaskError(RayError):
        """A program's."""

    def __init__(self, gpus: int = 0) -> None:
        super().__init__("ray")
        self.exceptions = types.SimpleNamespace(
            RayError=self.RayError, RayTaskError=self.RayTaskError
        )
        self.gpus, self.options = gpus, dict[str, float]()
        self.kept: list[Any] = []
        self.died: str | None = None

    def init(self, address: str | None, **_: object) -> None:
        if address is not None:
            raise ConnectionError("nobody answers")

    def is_initialized(self) -> bool:
        return False

    def shutdown(self) -> None:
        """Nothing was started."""

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0, "GPU": float(self.gpus)}

    def put(self, value: object) -> int:
        self.kept.append(value)
        return len(self.kept) - 1

    def get(self, ref: Any) -> Any:  # noqa: ANN401
        if isinstance(ref, list):
            return [self.get(each) for each in ref]
        if isinstance(self.kept[ref], Exception):
            raise self.kept[ref]
        return self.kept[ref]

    def wait(self, refs: list[int]) -> tuple[list[int], list[int]]:
        return refs[-1:], refs[:-1]

    def remote(self, **options: float) -> Callable[[Any], Any]:
        self.options = options

        def call(function: Callable[..., object]) -> object:
            def submitted(job: int, cell: str, ids: list[str], refs: list[int]) -> int:
                if self.died in (cell, "all"):
                    return self.put(self.RayError("killed"))
                return self.put(function(self.get(job), cell, ids, refs))

            return types.SimpleNamespace(remote=submitted)

        return call


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    return fake


def spread(folder: Path, build: Path, **settings: Any) -> Summary:  # noqa: ANN401
    preset = load_preset(str(folder / "small.toml"))
    return run(preset, build, CPU, executor=OnRay(**settings))


def test_a_cluster_ends_in_the_bytes_of_one_process(
    whole: Path, ray: FakeRay, tmp_path: Path
) -> None:
    summary = spread(whole, tmp_path / "build")
    assert summary.measured == len(titles(whole / "build"))
    assert contents(tmp_path / "build") == contents(whole / "build")
    assert ray.options["num_gpus"] == 0
    assert spread(whole, tmp_path / "build").measured == 0


def test_lost_weights_are_trained_again_where_a_cell_needs_them(
    whole: Path, ray: FakeRay, tmp_path: Path
) -> None:
    build = tmp_path / "build"
    spread(whole, build)
    for path in build.glob("checkpoints/*"):
        path.unlink()
    victim = next(name for name, title in titles(build).items() if title == "accuracy · ppca · mlp")
    (build / "records" / f"{victim}.json").unlink()
    assert spread(whole, build).measured == 1
    after, before = contents(build), contents(whole / "build")
    assert all(before[name] == content for name, content in after.items())
    assert f"records/{victim}.json" in after
    assert sum(name.startswith("checkpoints") for name in after) == 3


def test_what_rests_on_a_dead_training_fails_by_name_and_the_rest_goes_on(
    whole: Path, ray: FakeRay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = titles(whole / "build")
    ray.died = next(name for name, title in there.items() if title == "train generator · ppca")
    summary = spread(whole, tmp_path / "build")
    assert set(summary.failed) == {title for title in there.values() if "ppca" in title}
    said = capsys.readouterr().err
    assert "train generator · ppca: not measured: its process or node died too often" in said
    assert "class_masses · ppca · mlp: not measured: train generator · ppca failed" in said
    assert set(titles(tmp_path / "build").values()) == set(there.values()) - set(summary.failed)


def test_a_cluster_with_gpus_gives_each_cell_its_share(
    whole: Path, ray: FakeRay, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no node of the cluster has a GPU"):
        spread(whole, tmp_path / "a", device="cuda")
    ray.gpus = 2
    ray.died = "all"
    assert spread(whole, tmp_path / "b", share=0.5).measured == 0
    assert ray.options == {"num_cpus": 1, "num_gpus": 0.5, "max_retries": 5}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--address", "ray://x:1"], "are for --executor ray"),
        (["--executor", "ray", "--gpu-share", "2"], "must lie in (0, 1], got 2"),
        (["--executor", "ray", "--device", "mps"], "auto, cpu and cuda, not 'mps'"),
        (["--executor", "ray", "--address", "ray://x:1"], "no Ray cluster at 'ray://x:1'"),
        (["--executor", "ray"], "python -m pip install 'advbounds[ray]'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_ray = "pip install" not in said
    monkeypatch.setitem(sys.modules, "ray", FakeRay() if with_ray else None)
    command = ["run", str(preset_file(tmp_path)), "--build", str(tmp_path / "build"), *arguments]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.fixture
def two_nodes() -> Iterator[tuple[str, str]]:
    """Address of a local cluster, and what marks its processes."""
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'advbounds[ray]'")
    from ray.cluster_utils import Cluster

    mark = f"ADVBOUNDS_TEST_CLUSTER={os.getpid()}"
    name, _, value = mark.partition("=")
    os.environ[name] = value
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster.address, mark
    ray.shutdown()
    cluster.shutdown()
    del os.environ[name]


def busy_worker(mark: str) -> int | None:
    """Return the process of this cluster that carries out a cell."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            if title.startswith(b"ray::carry_out") and mark.encode() in (
                folder / "environ"
            ).read_bytes().split(b"\0"):
                return int(folder.name)
        except OSError:
            continue
    return None


@pytest.mark.filterwarnings("default")
def test_a_worker_that_is_killed_loses_nothing(
    whole: Path, two_nodes: tuple[str, str], tmp_path: Path
) -> None:
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while not killed and not ended.wait(0.002):
            found = busy_worker(two_nodes[1])
            if found is not None:
                os.kill(found, signal.SIGKILL)
                killed.append(found)

    thread = threading.Thread(target=kill)
    thread.start()
    summary = spread(whole, tmp_path / "build", address=two_nodes[0])
    ended.set()
    thread.join()
    assert killed
    assert summary.failed == ()
    assert contents(tmp_path / "build") == contents(whole / "build")


@dataclass(frozen=True)
class Greedy:
    """A measure, or a training, that needs more memory than there is for more than three."""

    revision: ClassVar[int] = 1
    batch: int = setting(20, at_least=2)


def too_much(plugin: Greedy) -> int:
    if plugin.batch > 3:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return plugin.batch


def test_the_batch_is_halved_until_it_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert within_memory(Greedy(20), too_much, "cell") == (2, {"batch_halved_to": 2})
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "cell: out of memory with batches of 20; again with 10"
    assert len(said) == 3
    assert within_memory(Greedy(3), too_much, "cell") == (3, {})
    # 4, 2 and no further: 1 is out of the setting's range.
    with pytest.raises(torch.OutOfMemoryError):
        within_memory(Greedy(4), lambda plugin: too_much(Greedy(plugin.batch + 2)), "cell")


def test_a_cell_goes_on_with_half_the_batch_and_its_record_says_so(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = load_preset(str(whole / "small.toml"))
    real, seen = Workshop._real_batches, list[int]()

    def small_memory(self: Workshop, settings: Any) -> Any:  # noqa: ANN401
        seen.append(settings.batch)
        if settings.batch > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, settings)

    def no_memory(*_: object) -> Outcome:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Workshop, "_real_batches", small_memory)
    monkeypatch.setattr(type(preset.measures["class_masses"]), "measure", no_memory)
    summary = run(preset, tmp_path / "build", CPU)
    assert seen == [128, 64, 32] * 2
    # A measure that takes all at once cannot halve: it fails by name, and the others go on.
    assert {title.split(" · ")[0] for title in summary.failed} == {"class_masses"}
    store = Store(tmp_path / "build")
    records: dict[str, Record] = {}
    for name in titles(tmp_path / "build"):
        record = store.get(name)
        assert record is not None
        records[record.request.title] = record
    halved = {r.request.plugin for r in records.values() if "batch_halved_to" in r.provenance}
    assert halved == {"teacher", "image_classifier"}
    for record in records.values():
        assert record.provenance.get("batch_halved_to", 32) == 32
    # The requests keep their names.
    assert {r.id for r in records.values()} <= titles(whole / "build").keys()

"""`embed` and `export` killed at random moments: no vector is lost or changed, and an export is the old one or the new one."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path
from signal import SIGHUP, SIGKILL

import pytest
from forks import Child, Forks

from mtlkit.errors import MtlkitError
from mtlkit.runs.record import CARD, file_digest, read_record, record_name

TEXTS = 12_000  # three parts


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "in.txt"
    path.write_text("".join(f"The cat number {number}{' sleeps' * (number * 7 % 5)} é\n" for number in range(TEXTS)))
    return path


class EmbedKiller:
    """Kills `embed` while it starts, while a part is written, and while the output is made of all parts."""

    def __init__(self, forks: Forks, seed: int) -> None:
        self.forks, self.draw, self.hits = forks, random.Random(seed), Counter[str]()
        self.moments = {"start": self._start, "part": self._part, "output": self._output}

    def embed(self, command: tuple[object, ...], out: Path, kills: int) -> None:
        resumed: tuple[object, ...] = ()
        for moment in [*self.draw.choices(["start", "part"], [1, 3], k=kills - 1), "output"]:
            if not self._killed((*command, "--output", out, *resumed), out, moment):
                break  # it was finished before
            resumed = ("--resume",)
        child = self.forks.start(*command, "--output", out, "--resume")
        assert child.wait() == 0, child.err

    def _killed(self, command: tuple[object, ...], out: Path, moment: str) -> bool:
        number = self.draw.choice((SIGKILL, SIGHUP))
        child = self.forks.start(*command)
        if self.moments[moment](child, out.with_name(f".{out.name}.parts")):
            child.kill(number)
        code = child.wait()
        early = (-SIGHUP,) if moment == "start" else ()  # before the command line heeds signals
        assert code in (0, -SIGKILL if number == SIGKILL else 128 + SIGHUP, *early), f"{moment}: {code}: {child.err}"
        self.hits[f"{moment} {number.name}"] += code != 0
        return code != 0

    def _start(self, child: Child, parts: Path) -> bool:
        return child.lasts(self.draw.uniform(0, 0.2))

    def _part(self, child: Child, parts: Path) -> bool:
        """While one more part is written, or right after."""
        return self._begun(child, parts, ".0*") and child.lasts(self.draw.uniform(0, 0.01))

    def _output(self, child: Child, parts: Path) -> bool:
        """While all parts are joined."""
        return self._begun(child, parts, f".{parts.name.removeprefix('.').removesuffix('.parts')}.*") and child.lasts(
            self.draw.uniform(0, 0.004)
        )

    def _begun(self, child: Child, parts: Path, pattern: str) -> bool:
        before = set(parts.glob(pattern))  # what was killed earlier
        return child.until(lambda: bool(set(parts.glob(pattern)) - before))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".parquet", ".safetensors"])
def test_embed(forks: Forks, mtl: Path, source: Path, tmp_path: Path, suffix: str) -> None:  # fault 1
    seed = random.SystemRandom().randrange(1 << 32)
    command = ("embed", "--input", source, "--model", mtl)
    whole = tmp_path / "whole" / f"out{suffix}"
    whole.parent.mkdir()
    child = forks.start(*command, "--output", whole)
    assert child.wait() == 0, child.err
    killer, trial = EmbedKiller(forks, seed), 0
    while killer.hits.total() < 12:
        out = tmp_path / f"killed-{trial}" / f"out{suffix}"
        out.parent.mkdir()
        killer.embed(command, out, 5)
        assert out.read_bytes() == whole.read_bytes(), f"seed {seed}"
        assert list(out.parent.iterdir()) == [out], f"seed {seed}"
        trial += 1
    sys.stderr.write(f"{killer.hits.total()} kills {dict(killer.hits)} of {trial} outputs, seed {seed}: no difference\n")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_folder(forks: Forks, mtl: Path, source: Path, tmp_path: Path) -> None:  # fault 57
    """Two shards, killed at random again and again, end in the bytes of one process."""
    seed = random.SystemRandom().randrange(1 << 32)
    draw, hits = random.Random(seed), Counter[str]()
    command = ("embed", "--input", source, "--model", mtl, "--part-rows", 1500, "--dtype", "int8")
    whole, out = tmp_path / "whole", tmp_path / "out"
    child = forks.start(*command, "--output", whole)
    assert child.wait() == 0, child.err
    for shard in ("0/2", "1/2"):
        for _ in range(20):
            child = forks.start(*command, "--output", out, "--shard", shard, "--resume")
            if hits[shard] < 6 and child.lasts(draw.uniform(0, 1.5)):
                child.kill(SIGKILL)
            code = child.wait()
            assert code in (0, -SIGKILL), child.err
            hits[shard] += code != 0
            if code == 0:
                break
    wanted = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert {path.name: path.read_bytes() for path in out.iterdir()} == wanted, f"seed {seed}"
    sys.stderr.write(f"{hits.total()} kills of shards, seed {seed}: no difference\n")


def content(folder: Path) -> dict[str, str]:
    """The digest of every file of an export, all checked; but for what tells when it was made. Raises MtlkitError where a file
    is not what was written."""
    name = record_name(folder)
    record = read_record(folder, name)
    found = {path.relative_to(folder).as_posix(): file_digest(path) for path in folder.rglob("*") if path.is_file()}
    if {**record.files, name: found[name]} != found:
        raise MtlkitError(f"{folder}: the files are not those of the record")
    return {file: digest for file, digest in found.items() if file not in (name, CARD)}


PLACES = (  # where it is killed, in the order in which it comes there: before one of the first calls of each
    *(("mtlkit.recipes.export:load_weights", 1), ("mtlkit.recipes.export:remove_staged", 1), ("mtlkit.runs.atomic:write", 2)),
    *(("mtlkit.recipes.export:largest_difference", 1), ("mtlkit.runs.staging:write_json", 1), ("mtlkit.runs.atomic:sync", 4)),
    *(
        ("mtlkit.runs.staging:replace_folder", 1),
        ("mtlkit.runs.replace_folder:exchange", 1),
        ("mtlkit.runs.staging:_move_foreign", 1),
    ),
)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("form", ["compact", "sentence-transformers"])
def test_export(forks: Forks, runs: Path, tmp_path: Path, form: str) -> None:  # faults 1, 45
    seed = random.SystemRandom().randrange(1 << 32)
    draw, hits = random.Random(seed), Counter[str]()
    models = [runs / "mtl", runs / "sentence"]
    wanted = []
    for model in models:
        whole = tmp_path / f"whole-{model.name}"
        child = forks.start("export", model, whole, "--format", form)
        assert child.wait() == 0, child.err
        wanted.append(content(whole))
    out, old = tmp_path / "place" / "export", None
    out.parent.mkdir()
    for place, call in [*PLACES, *[(None, 0)] * 3]:
        new = draw.randrange(2)
        command = ("export", models[new], out, "--format", form, "--overwrite")
        number = draw.choice((SIGKILL, SIGHUP)) if place else SIGKILL
        if place:
            child = forks.start(*command, hold=place, call=call)
            reached = child.until(child.name.with_suffix(".held").exists)
        else:
            child = forks.start(*command)
            reached = child.until(lambda: any(out.parent.glob(".export.*"))) and child.lasts(draw.uniform(0, 0.1))
        child.kill(number)
        child.release()
        code = child.wait()
        assert code in ((-SIGKILL, 0) if number == SIGKILL else (128 + SIGHUP, 0)), f"{place}: {code}: {child.err}"
        hits[number.name] += code != 0
        found = content(out) if out.exists() else None
        assert found in (old, wanted[new]), f"after {place}, reached: {reached}, seed {seed}"
        old = found
        if draw.random() < 0.4 or not place:  # the next one leaves nothing of those before
            child = forks.start(*command)
            assert child.wait() == 0, child.err
            old = content(out)
            assert old == wanted[new]
            assert list(out.parent.iterdir()) == [out], f"after {place}, seed {seed}"
    sys.stderr.write(f"{hits.total()} kills {dict(hits)} of exports, seed {seed}: the old one or the new one\n")

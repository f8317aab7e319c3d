"""A killed process that embeds a file: its results are kept, and the resumed output is the same as without interruption."""

from __future__ import annotations

import io
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.errors import UsageError
from mtlkit.recipes import embed as recipe
from mtlkit.recipes.inputs import texts as texts_of_inputs
from mtlkit.recipes.inputs.open_model import open_model
from mtlkit.recipes.outputs.job import OutputProgress

PARTS = 12
SLOW = """
import sys, time
from mtlkit.cli.app import main
from mtlkit.data.outputs.resumable_output import OutputParts
from mtlkit.recipes.inputs import texts

texts.PART_TEXTS = 4
write = OutputParts.write

pause = float(sys.argv.pop(1))

def slowly(self, number, rows):
    write(self, number, rows)
    time.sleep(pause)

OutputParts.write = slowly
main()
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"The cat number {number}{' sleeps' * (number * 7 % 5)} é\n" for number in range(4 * PARTS - 1)))
    return path


def command(source: Path, out: Path, model: Path, pause: float = 0.0) -> list[str]:
    """`mtlkit embed` in parts of four texts, with a pause after each."""
    arguments = ["embed", "--input", source, "--output", out, "--model", model]
    return [sys.executable, "-W", "error", "-c", SLOW, str(pause), *map(str, arguments)]


def done(out: Path) -> list[Path]:
    return sorted(out.with_name(f".{out.name}.parts").glob("*.safetensors"))


def interrupted(source: Path, out: Path, model: Path, after: int, number: int) -> tuple[int, str]:
    """Sends a signal once that many parts are done; the exit code and stderr."""
    process = subprocess.Popen(command(source, out, model, pause=0.25), stderr=subprocess.PIPE, text=True)
    while len(done(out)) < after and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def here(options: EmbedOptions) -> list[OutputProgress]:
    """The same in this process."""
    loaded, _ = open_model(options)
    return list(recipe.embed_to_output(options, loaded, io.StringIO()))


BY_HAND = pytest.mark.slow


@pytest.mark.parametrize(
    "suffix", [".npy", *(pytest.param(suffix, marks=BY_HAND) for suffix in (".jsonl", ".parquet", ".safetensors"))]
)
def test_a_file_is_the_same_after_a_kill(  # fault 1
    runs: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(texts_of_inputs, "PART_TEXTS", 4)
    out, whole = tmp_path / f"out{suffix}", tmp_path / f"whole{suffix}"
    code, _ = interrupted(source, out, runs / "mtl", random.randrange(2, PARTS - 2), signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not out.exists()
    found = done(out)
    assert 0 < len(found) < PARTS
    found[-1].write_bytes(found[-1].read_bytes()[:50])  # as if the disk had lost its end
    options = EmbedOptions(model=str(runs / "mtl"), input=source, output=out)
    with pytest.raises(UsageError, match="continue with --resume, or start again with --overwrite"):
        here(options)
    assert here(replace(options, resume=True))[-1].reused == 4 * (len(found) - 1)
    here(replace(options, output=whole))
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.txt", out.name, whole.name])


@pytest.fixture
def half_done(runs: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbedOptions:
    """An output that was interrupted with half of its parts done."""
    monkeypatch.setattr(texts_of_inputs, "PART_TEXTS", 4)
    options = EmbedOptions(model=str(runs / "mtl"), input=source, output=tmp_path / "out.npy")
    loaded, _ = open_model(options)
    steps = recipe.embed_to_output(options, loaded, io.StringIO())
    for _ in range(PARTS // 2):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    return replace(options, resume=True)


def test_a_bit_flipped_in_a_part_is_computed_again(  # fault 43
    half_done: EmbedOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert half_done.output is not None
    path = done(half_done.output)[2]
    content = bytearray(path.read_bytes())
    content[-1] ^= 64
    path.write_bytes(content)
    assert here(half_done)[-1].reused == 4 * (PARTS // 2 - 1)
    (warning,) = caplog.messages
    assert warning.startswith(f"{path} is damaged")
    whole = replace(half_done, output=tmp_path / "whole.npy", resume=False)
    here(whole)
    assert half_done.output.read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_vectors_of_another_precision_are_not_mixed_in(half_done: EmbedOptions) -> None:  # fault 12
    with pytest.raises(UsageError, match="was started with precision fp32, but now it is int8"):
        here(replace(half_done, precision="int8"))
    here(replace(half_done, precision="fp32"))  # which "auto" is on this machine


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, marks=BY_HAND), pytest.param(signal.SIGTERM, 143, marks=BY_HAND), (signal.SIGHUP, 129)],
)
def test_interrupted_embed_prints_the_resume_command(  # faults 7, 8, 44
    runs: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    out = tmp_path / "out.npy"
    returned, said = interrupted(source, out, runs / "mtl", 2, number)
    assert returned == code
    count = 4 * len(done(out))
    assert f"vectors are kept; resume with: mtlkit embed --resume --input {source} --output {out} --model {runs / 'mtl'}" in said
    assert count >= 8
    assert "Traceback" not in said
    monkeypatch.setattr(texts_of_inputs, "PART_TEXTS", 4)
    options = EmbedOptions(model=str(runs / "mtl"), input=source, output=out, resume=True)
    with pytest.raises(UsageError, match="was started with normalize false, but now it is true"):
        here(replace(options, normalize=True))
    with pytest.raises(UsageError, match="was started with dim 32, but now it is 16"):
        here(replace(options, dim=16))
    source.write_text(source.read_text().replace("number 1 ", "number one "))
    with pytest.raises(UsageError, match=r"the texts of part 1 .* differ"):
        here(options)
    assert len(done(out)) == count // 4
    here(replace(options, resume=False, overwrite=True))
    assert np.load(out).shape == (4 * PARTS - 1, 32)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_full_disk_keeps_what_was_done(  # fault 5
    runs: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    out = tmp_path / "out.npy"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))  # a part fits, the whole file does not

    full = subprocess.run(command(source, out, runs / "mtl"), capture_output=True, text=True, timeout=120, preexec_fn=limit)
    assert full.returncode == 3
    assert f"{out}: File too large" in full.stderr
    assert "resume with: mtlkit embed --resume" in full.stderr
    assert (out.exists(), len(done(out))) == (False, PARTS)
    monkeypatch.setattr(texts_of_inputs, "PART_TEXTS", 4)
    here(EmbedOptions(model=str(runs / "mtl"), input=source, output=out, resume=True))
    assert np.load(out).shape == (4 * PARTS - 1, 32)


MEMORY = """
import io, resource, sys
from pathlib import Path
import torch
from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.recipes import embed

torch.set_num_threads(1)
options = EmbedOptions(model=sys.argv[1], input=Path(sys.argv[2]), output=Path(sys.argv[3]))
loaded, _ = open_model(options)
for step in embed.embed_to_output(options, loaded, io.StringIO()):
    if step.texts == 8 * 4096 and step.stage == "computed":
        early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - early) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in kilobytes, as Linux does")
@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".parquet", ".safetensors"])
def test_memory_does_not_grow_with_the_number_of_texts(runs: Path, tmp_path: Path, suffix: str) -> None:
    import pyarrow
    from pyarrow import parquet

    texts = [
        f"The {word} number {number} sleeps near the barn."
        for number in range(50_000)
        for word in ("cat", "dog", "otter", "trout")
    ]
    parquet.write_table(pyarrow.table({"text": texts}), tmp_path / "in.parquet")  # in one row group
    arguments = [str(runs / "mtl"), str(tmp_path / "in.parquet"), str(tmp_path / f"out{suffix}")]
    result = subprocess.run([sys.executable, "-c", MEMORY, *arguments], capture_output=True, text=True, timeout=250, check=True)
    assert int(result.stdout) < 64  # megabytes; the texts and vectors have 50

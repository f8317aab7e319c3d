"""How soon a first vector is there: seconds of `mtlkit embed "some sentence"`, as a process, against scripts of the peers.

Lower is better. All take the same weights from a Hugging Face folder. `mtlkit onnx` runs an ONNX export of them, without
importing torch. The peers' scripts import, load, embed one sentence and end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from compare import PACKAGED, Side, compare, describe, model_folder, parser
from startup import run
from workers import present

SENTENCE = "some sentence"
SCRIPTS = {
    "st": (
        "from sentence_transformers import SentenceTransformer\nSentenceTransformer({model!r}, device='cpu').encode([{text!r}])"
    ),
    "transformers": (
        "import torch\nfrom transformers import AutoModel, AutoTokenizer\n"
        "read, model = AutoTokenizer.from_pretrained({model!r}), AutoModel.from_pretrained({model!r})\n"
        "batch = read([{text!r}], return_tensors='pt')\n"
        "with torch.no_grad():\n    states = model(**batch).last_hidden_state.mean(1)"
    ),
}
NEEDS = {"st": ["sentence-transformers"], "transformers": ["transformers"], "mtlkit onnx": ["onnxruntime", "onnxscript"]}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--model", type=Path, metavar="DIR", help=f"Hugging Face folder (default: the one in {PACKAGED})")
    options = made.parse_args()
    folder = str(model_folder(options.model))
    describe(["torch", "transformers", "sentence-transformers", "onnxruntime"], options.threads)
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    embed = ["-m", "mtlkit", "embed", SENTENCE, "--json", "--model"]
    peers = present(["mtlkit onnx", "st", "transformers"], NEEDS)
    with tempfile.TemporaryDirectory() as place:
        commands = {"mtlkit": [*embed, folder]}
        if "mtlkit onnx" in peers:
            graph = str(Path(place, "graph"))
            export = [sys.executable, "-m", "mtlkit", "export", folder, graph, "--format", "onnx"]
            subprocess.run(export, check=True, env=environment, stdout=subprocess.DEVNULL)
            commands["mtlkit onnx"] = [*embed, graph]
        for name in peers:
            if name in SCRIPTS:
                commands[name] = ["-c", SCRIPTS[name].format(model=folder, text=SENTENCE)]
        sides = [Side(name, partial(run, command, environment)) for name, command in commands.items()]
        for side in sides:  # not counted: fills the disk cache
            side.run()
        compare(sides[0], sides[1:], options.rounds, "s")


if __name__ == "__main__":
    main()

"""A checkpoint of a run by a trainer of one's own: OLMo-core, torchtitan, nanotron, or a script."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from fnmatch import fnmatch
from pathlib import Path

from exc.runtime.context import Counts, JobContext, JobFailed
from exc.runtime.stages.command import run_shell
from exc.runtime.stages.model_folder import (
    TOKENIZER_FILES,
    BadModel,
    copy_tokenizer,
    read_config,
    read_tensors,
)

_RUN = "run"  # the folder of the run, which every segment and every attempt shares
_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
# What of a checkpoint is its model; a trainer may keep its own state beside it.
_OF_A_MODEL = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja")


def run(ctx: JobContext) -> None:
    """Have the trainer go on to EXC_STEP, and publish the model of that step.

    The shell line runs with `bash -eo pipefail` in the spec's folder and sees EXC_WORK (the folder of the
    run, which outlives attempts), EXC_STEP (where to stop), EXC_KEEP (every step that is branched, with
    commas), EXC_STEPS (the length of the run), EXC_SEED, EXC_CONFIG (a JSON file) and EXC_INPUT_MODEL (what
    it starts from, if anything). A checkpoint that an earlier segment left is taken as it is; one that the
    run is past and did not keep is trained to from the start, in a folder of its own. `convert` sees also
    EXC_CHECKPOINT (what the trainer left) and EXC_OUTPUT (an empty folder for the model).
    Raises JobFailed("command") when a line fails, or leaves no model with its tokenizer.
    """
    step, folder = int(ctx.config["step"]), ctx.work / _RUN
    anew = ctx.work / f"{_RUN}-to-{step}"
    checkpoint = folder / _name(ctx, step)
    if not anew.exists():
        had_begun = folder.is_dir() and any(folder.iterdir())
        _train(ctx, folder, checkpoint)
        if had_begun and not checkpoint.is_dir():
            print(f"the run is past step {step} and did not keep it: it is run anew to there", flush=True)
            anew.mkdir()
    if anew.exists():
        folder, checkpoint = anew, anew / _name(ctx, step)
        _train(ctx, folder, checkpoint)
    if not checkpoint.is_dir():
        there = ", ".join(_checkpoints(ctx, folder)) or "none at all"
        message = (
            f"the trainer left no `{_name(ctx, step)}` under $EXC_WORK; of its checkpoints there are: {there}"
        )
        raise JobFailed("command", message)
    model = _converted(ctx, folder, checkpoint)
    _check_model(ctx, model)

    def write(out: Path) -> None:
        (out / "model").mkdir()
        for path in sorted(model.iterdir()):
            if path.is_file() and any(fnmatch(path.name, pattern) for pattern in _OF_A_MODEL):
                shutil.copyfile(path, out / "model" / path.name)
        if not _has_tokenizer(model):
            copy_tokenizer(ctx.inputs["model"], out / "model")

    tokens = step * int(ctx.config["tokens_per_step"])
    ctx.publish(write, step=step, counts=Counts(tokens=tokens))
    ctx.emit("progress", step=step, total=step)
    if model != checkpoint:
        shutil.rmtree(model, ignore_errors=True)
    shutil.rmtree(anew, ignore_errors=True)
    _noted(anew).unlink(missing_ok=True)


def _train(ctx: JobContext, folder: Path, checkpoint: Path) -> None:
    """Run the trainer in a folder, unless it left the checkpoint there when it ended well before."""
    folder.mkdir(parents=True, exist_ok=True)
    if checkpoint.relative_to(folder).as_posix() in _left(folder) and checkpoint.is_dir():
        return
    resume = ctx.config.get("resume")
    line = resume if resume is not None and any(folder.iterdir()) else ctx.config["run"]
    run_shell(ctx, str(line), _environment(ctx, folder))
    _note_left(ctx, folder)


def _name(ctx: JobContext, step: int) -> str:
    return str(ctx.config["leaves"]).replace("{step}", str(step))


def _checkpoints(ctx: JobContext, folder: Path) -> list[str]:
    """The checkpoints that are there, of the steps that are branched."""
    return [name for step in ctx.config["keep"] if (folder / (name := _name(ctx, step))).is_dir()]


def _left(folder: Path) -> list[str]:
    try:
        names: list[str] = json.loads(_noted(folder).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not there, or cut short: then the trainer is asked again
        return []
    return names


def _note_left(ctx: JobContext, folder: Path) -> None:
    """Note which checkpoints are there now that the trainer has ended well: none is half-written."""
    _noted(folder).write_text(json.dumps(_checkpoints(ctx, folder)), encoding="utf-8")


def _noted(folder: Path) -> Path:
    """Where it is noted what a run left: beside its folder, which is the trainer's alone."""
    return folder.with_name(f"{folder.name}-left.json")


def _environment(ctx: JobContext, folder: Path) -> dict[str, str]:
    config = ctx.work / "config.json"
    config.write_text(json.dumps(dict(ctx.config), indent=1) + "\n", encoding="utf-8")
    model = {"EXC_INPUT_MODEL": str(ctx.inputs["model"])} if "model" in ctx.inputs else {}
    return {
        **os.environ,
        **model,
        "EXC_WORK": str(folder),
        "EXC_STEP": str(ctx.config["step"]),
        "EXC_KEEP": ",".join(str(step) for step in ctx.config["keep"]),
        "EXC_STEPS": str(ctx.config["total_steps"]),
        "EXC_SEED": str(ctx.config["seed"]),
        "EXC_CONFIG": str(config),
    }


def _converted(ctx: JobContext, folder: Path, checkpoint: Path) -> Path:
    """The folder of the model: the checkpoint itself, or what `convert` makes of it."""
    line = ctx.config.get("convert")
    if line is None:
        return checkpoint
    for older in ctx.work.glob("converted-*"):
        shutil.rmtree(older, ignore_errors=True)
    output = Path(tempfile.mkdtemp(prefix="converted-", dir=ctx.work))
    environment = {"EXC_CHECKPOINT": str(checkpoint), "EXC_OUTPUT": str(output)}
    run_shell(ctx, str(line), {**_environment(ctx, folder), **environment})
    return output


def _has_tokenizer(model: Path) -> bool:
    return any((model / name).is_file() for name in _VOCABULARIES)


def _check_model(ctx: JobContext, model: Path) -> None:
    """Raises JobFailed unless the folder holds a model and its tokenizer."""
    made = "`convert` left" if ctx.config.get("convert") is not None else "the trainer left"
    hint = (
        ""
        if ctx.config.get("convert") is not None
        else "; `convert` makes a Hugging Face model of a checkpoint"
    )
    try:
        read_config(model)
        read_tensors(model)
    except BadModel as error:
        raise JobFailed("command", f"what {made} is no model: {error}{hint}") from error
    donor = ctx.inputs.get("model")
    if not _has_tokenizer(model) and (
        donor is None or not any((donor / name).is_file() for name in TOKENIZER_FILES)
    ):
        raise JobFailed("command", f"what {made} has no tokenizer: none of {', '.join(_VOCABULARIES)}")

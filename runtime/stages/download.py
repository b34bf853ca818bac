"""Fetch files of one commit of a repository into a folder.

`python -m ... PARENT KIND REPO COMMIT FOLDER FILE...`: PARENT is the job's process, with which it ends.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from exc.runtime.stages.child import end_with


def download(kind: str, repo: str, commit: str, folder: Path, files: Sequence[str]) -> None:
    """Bring the files that are not there yet. Raises whatever the hub's library raises."""
    from huggingface_hub import hf_hub_download

    for name in files:
        hf_hub_download(repo, name, repo_type=kind, revision=commit, local_dir=folder)
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def main(arguments: Sequence[str]) -> int:
    parent, kind, repo, commit, folder, *files = arguments
    if not end_with(int(parent)):
        return 1
    try:
        download(kind, repo, commit, Path(folder), files)
    except Exception as error:  # its kinds are many, and all end in one line for the job's log
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Python that a person keeps beside the spec: finding it, importing it, and saying where it went wrong."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from exc.runtime.context import JobFailed
from exc.spec.words import cut

# What a person's code may raise, sys.exit() among it: that must not end the job as if it were done.
FAULTS = (Exception, SystemExit)
_MOST_SAID = 500  # characters of an error's own text: it may hold all of a row


def load_function(target: str, root: Path, failure: str) -> Callable[..., Any]:
    """Return the callable that `target` ("module:function") names in the folder `root`.

    Raises JobFailed of class `failure` when the module or the function is missing or the import fails.
    """
    module_name, _, function_name = target.partition(":")
    path = _module_path(module_name, root)
    if path is None or not function_name:
        raise JobFailed(failure, f"`{target}`: no module `{module_name}` in {root}")
    try:
        with _first_in_line(root):
            module = _load_module(module_name, path)
    except FAULTS as error:
        raise JobFailed(failure, f"`{target}` cannot be imported: {describe(error, root)}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        held = ", ".join(names) or "none"
        raise JobFailed(failure, f"{path.name} has no function `{function_name}` (it has: {held})")
    return function  # type: ignore[no-any-return]


def describe(error: BaseException, root: Path) -> str:
    """Render `error` as "file.py:31: ValueError: text", where the line is the innermost one under `root`."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            place = f"{path.relative_to(root)}:{frame.lineno}: "
    if not place and isinstance(error, SyntaxError) and error.filename:
        place = f"{Path(error.filename).name}:{error.lineno}: "
    return place + cut(traceback.format_exception_only(error)[-1].strip(), _MOST_SAID)


def _module_path(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    for path in (base.with_name(base.name + ".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@contextmanager
def _first_in_line(root: Path) -> Iterator[None]:
    """Let a person's module import its neighbours, which are what its digest covers, before all else.

    For good, `root` comes last: a `datasets.py` beside the spec must not hide the library from the stages.
    """
    if str(root) not in sys.path:
        sys.path.append(str(root))
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


def _load_module(name: str, path: Path) -> ModuleType:
    importlib.invalidate_caches()
    if name not in sys.modules and _finds(name, path):
        return importlib.import_module(name)
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    # The plain name is taken by another module, so ours goes under one of its own.
    alias = f"exc_user_code.{path}"
    spec = importlib.util.spec_from_file_location(alias, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[alias]
        raise
    return module


def _finds(name: str, path: Path) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin == str(path)

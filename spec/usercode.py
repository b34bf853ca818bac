"""The digest of a user's function: its module and what that imports beside the spec. Nothing is run."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path

from exc.spec.diagnostics import did_you_mean, one_of

_IMPORT = (ast.Import, ast.ImportFrom)


class UserCodeError(Exception):
    """A callable that cannot be used. `expected` goes on after the word "expected"; `hint` is a sentence."""

    def __init__(self, message: str, expected: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.hint = hint


def code_digest(root: Path, target: str) -> str:
    """The sha256 over the file of `module:function` and all modules under `root` that importing it loads.

    Raises UserCodeError when the module is not there, cannot be read, or has no such name at its top level.
    """
    module, _, function = target.partition(":")
    file = _file_of(root, module)
    if file is None:
        raise _no_module(root, module)
    names = sorted(_top_level(_parse(file, root).body))
    if function not in names:
        shown = file.relative_to(root).as_posix()
        own = sorted(_top_level(node for node in _parse(file, root).body if not isinstance(node, _IMPORT)))
        public = [name for name in own if not name.startswith("_")]
        expected = one_of(public) if public else None
        raise UserCodeError(f"`{shown}` has no `{function}`", expected, did_you_mean(function, names))
    digest = hashlib.sha256(_read(file, root))
    for path in sorted(_imported(root, file) - {file}):
        digest.update(b"\0" + path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(_read(path, root)).digest())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a function may be called with by name; `open`: any other name as well. And what by place.

    `positional`: how many arguments it needs and takes by place; None where a keyword must be given, too.
    """

    names: tuple[str, ...]
    required: tuple[str, ...]
    open: bool
    positional: tuple[int, float] | None


def parameters(root: Path, target: str) -> Parameters | None:
    """The parameters of `module:function`; None where they cannot be read off its definition.

    Raises UserCodeError as `code_digest` does.
    """
    module, _, function = target.partition(":")
    file = _file_of(root, module)
    body = _parse(file, root).body if file is not None else []
    defined = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == function]
    if len(defined) != 1 or defined[0].decorator_list:
        return None
    args = defined[0].args
    plain = [*args.posonlyargs, *args.args]
    without_default = [arg.arg for arg in plain[: len(plain) - len(args.defaults)]]
    only = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    keywords = [arg.arg for arg, default in only if default is None]
    most = inf if args.vararg is not None else len(plain)
    return Parameters(
        tuple(arg.arg for arg in (*args.args, *args.kwonlyargs)),
        (*without_default, *keywords),
        args.kwarg is not None,
        None if keywords else (len(without_default), most),
    )


def _imported(root: Path, start: Path) -> set[Path]:
    """Every file under `root` that is loaded when `start` is imported and run, itself included."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            package = _package_of(root, file)
            for name in _imports(_parse(file, root), package):
                waiting.extend(_files_of(root, name))
    return found


def _package_of(root: Path, file: Path) -> list[str]:
    """The dotted parts that a relative import in `file` starts from."""
    return list(file.relative_to(root).parent.parts)


def _imports(tree: ast.Module, package: list[str]) -> Iterator[str]:
    """Dotted names of all imports, inside functions too; `from a import b` may mean a module `a.b`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                parts = package[: len(package) - level + 1] if level else []
                base = ".".join([*parts, *([module] if module else [])])
                yield base
                yield from (f"{base}.{alias.name}" if base else alias.name for alias in names)
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name
            case _:
                pass


def _file_of(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    candidates = (base / "__init__.py", base.with_name(base.name + ".py"))
    return next((path for path in candidates if path.is_file()), None)


def _files_of(root: Path, module: str) -> Iterator[Path]:
    """The files that importing `module` loads: its own, and those of the packages that it lies in."""
    parts = [part for part in module.split(".") if part]
    for length in range(1, len(parts) + 1):
        file = _file_of(root, ".".join(parts[:length]))
        if file is not None:
            yield file


def _read(file: Path, root: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserCodeError(
            f"`{file.relative_to(root).as_posix()}` cannot be read: {error.strerror}"
        ) from None


def _parse(file: Path, root: Path) -> ast.Module:
    try:
        return ast.parse(_read(file, root))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        shown = file.relative_to(root).as_posix()
        where = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UserCodeError(f"`{shown}{where}` is not Python: {reason}") from None


def _top_level(body: Iterable[ast.stmt]) -> set[str]:
    """Names that the module has once it is loaded; branches of `if`, `try` and `with` count."""
    names: set[str] = set()
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names.update((alias.asname or alias.name).partition(".")[0] for alias in aliases)
            case ast.If(body=inner, orelse=other):
                names |= _top_level([*inner, *other])
            case ast.Try(body=inner, handlers=handlers, orelse=other, finalbody=last):
                names |= _top_level([*inner, *other, *last, *(s for h in handlers for s in h.body)])
            case ast.With(body=inner):
                names |= _top_level(inner)
            case _:
                pass
    return names


def _no_module(root: Path, module: str) -> UserCodeError:
    folder = root.joinpath(*module.split(".")[:-1])
    package = module.split(".")[:-1]
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        entries = []
    modules = [
        ".".join([*package, entry.stem])
        for entry in entries
        if entry.suffix == ".py" and entry.stem.isidentifier()
    ]
    wanted = module.replace(".", "/") + ".py"
    if module.endswith(".py") and _file_of(root, module.removesuffix(".py")) is not None:
        return UserCodeError(
            f"`{module}` is a file, not a module", f"`{module.removesuffix('.py')}`", "leave out `.py`"
        )
    return UserCodeError(
        f"there is no `{wanted}` beside the spec",
        one_of(modules) if modules else None,
        did_you_mean(module, modules),
    )

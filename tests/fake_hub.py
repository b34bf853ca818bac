"""A hub on loopback: repositories with commits, branches and files, where the library asks for them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


@dataclass
class FakeHub:
    """`commits`: repository -> commit -> its files; `branches`: repository -> branch -> commit."""

    commits: dict[str, dict[str, Mapping[str, bytes]]] = field(default_factory=dict)
    branches: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def push(self, repo: str, folder: Path, branch: str = "main") -> str:
        """A new commit with the files of a folder; gives its name."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        content = json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
        commit = hashlib.sha1(content.encode()).hexdigest()
        self.commits.setdefault(repo, {})[commit] = files
        self.branches.setdefault(repo, {})[branch] = commit
        return commit

    def commit_of(self, repo: str, revision: str) -> str | None:
        named = self.branches.get(repo, {}).get(revision, revision)
        return named if named in self.commits.get(repo, {}) else None


def _is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".parquet"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> FakeHub:
        return self.server.hub  # type: ignore[attr-defined,no-any-return]

    def log_message(self, format: str, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = unquote(self.path.partition("?")[0])
        self.hub.asked.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        if parts[:1] == ["api"] and parts[1:2] in (["models"], ["datasets"]) and parts[4:5] == ["revision"]:
            return self._info("/".join(parts[2:4]), "/".join(parts[5:]))
        if parts[:2] == ["api", "models"] and parts[4:] == ["refs"]:
            return self._refs("/".join(parts[2:4]))
        if parts[:1] == ["datasets"]:
            parts = parts[1:]
        if parts[2:3] == ["resolve"]:
            return self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]), body=body)
        return self._fail("EntryNotFound")

    def _info(self, repo: str, revision: str) -> None:
        if repo not in self.hub.commits:
            return self._fail("RepoNotFound")
        commit = self.hub.commit_of(repo, revision)
        if commit is None:
            return self._fail("RevisionNotFound")
        siblings = [self._sibling(name, data) for name, data in self.hub.commits[repo][commit].items()]
        content = json.dumps({"id": repo, "modelId": repo, "sha": commit, "siblings": siblings}).encode()
        return self._send(200, {"Content-Type": "application/json"}, content)

    def _refs(self, repo: str) -> None:
        if repo not in self.hub.commits:
            return self._fail("RepoNotFound")
        branches = [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit}
            for name, commit in self.hub.branches[repo].items()
        ]
        content = json.dumps({"branches": branches, "converts": [], "tags": []}).encode()
        return self._send(200, {"Content-Type": "application/json"}, content)

    @staticmethod
    def _sibling(name: str, data: bytes) -> dict[str, object]:
        out: dict[str, object] = {
            "rfilename": name,
            "size": len(data),
            "blobId": hashlib.sha1(data).hexdigest(),
        }
        if _is_large(name):
            out["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 135}
        return out

    def _file(self, repo: str, revision: str, name: str, *, body: bool) -> None:
        commit = self.hub.commit_of(repo, revision)
        files = self.hub.commits.get(repo, {}).get(commit or "", {})
        if commit is None or name not in files:
            return self._fail("EntryNotFound" if commit else "RevisionNotFound")
        data = files[name]
        digest = (hashlib.sha256 if _is_large(name) else hashlib.sha1)(data).hexdigest()
        headers = {"ETag": f'"{digest}"', "X-Repo-Commit": commit, "Content-Type": "application/octet-stream"}
        return self._send(200, headers, data, body=body)

    def _fail(self, code: str) -> None:
        self._send(404, {"X-Error-Code": code, "X-Error-Message": code}, b"")

    def _send(self, status: int, headers: Mapping[str, str], content: bytes, *, body: bool = True) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@contextlib.contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """A hub that answers until the end; `url` is what HF_ENDPOINT must be."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.hub = hub  # type: ignore[attr-defined]
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

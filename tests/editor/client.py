"""A small client of the language server protocol, over the standard streams of a server."""

from __future__ import annotations

import json
import subprocess
from collections import deque
from pathlib import Path
from threading import Thread
from typing import Any, Self

_WAIT_S = 60


class Server:
    """A language server that was started here, with one workspace folder. Use as a context manager."""

    def __init__(self, command: list[str], folder: Path, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._folder = folder
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder
        )
        self._ids = 0
        self._waiting: deque[dict[str, Any]] = deque()
        self._versions: dict[str, int] = {}

    def __enter__(self) -> Self:
        uri = self._folder.as_uri()
        capabilities = {
            "textDocument": {
                "completion": {"completionItem": {"documentationFormat": ["markdown", "plaintext"]}},
                "hover": {"contentFormat": ["markdown"]},
                "publishDiagnostics": {},
            },
            "workspace": {"configuration": True, "workspaceFolders": True},
        }
        self.ask(
            "initialize",
            {
                "processId": None,
                "rootUri": uri,
                "capabilities": capabilities,
                "workspaceFolders": [{"uri": uri, "name": "study"}],
            },
        )
        self.tell("initialized", {})
        self.tell("workspace/didChangeConfiguration", {"settings": self._settings})
        return self

    def __exit__(self, *_: object) -> None:
        killer = Thread(target=self._end_late, daemon=True)
        killer.start()
        self.ask("shutdown", None)
        self.tell("exit", None)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _end_late(self) -> None:
        try:
            self._process.wait(_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def open(self, name: str, text: str) -> list[dict[str, Any]]:
        """Show the server a text as the file of that name; gives its diagnostics."""
        uri = (self._folder / name).as_uri()
        version = self._versions[uri] = self._versions.get(uri, 0) + 1
        if version == 1:
            document = {"uri": uri, "languageId": "yaml", "version": version, "text": text}
            self.tell("textDocument/didOpen", {"textDocument": document})
        else:
            change = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [{"text": text}]}
            self.tell("textDocument/didChange", change)
        while True:
            message = self._next()
            parameters = message.get("params") or {}
            if message.get("method") == "textDocument/publishDiagnostics" and parameters["uri"] == uri:
                found: list[dict[str, Any]] = parameters["diagnostics"]
                return found

    def at(self, method: str, name: str, line: int, column: int) -> Any:
        """Ask about a place in a file, both counted from 0."""
        uri = (self._folder / name).as_uri()
        position = {"line": line, "character": column}
        return self.ask(f"textDocument/{method}", {"textDocument": {"uri": uri}, "position": position})

    def tell(self, method: str, parameters: Any) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": parameters})

    def ask(self, method: str, parameters: Any) -> Any:
        self._ids += 1
        self._send({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": parameters})
        while True:
            message = self._receive()
            if message.get("id") == self._ids and "method" not in message:
                assert "error" not in message, message
                return message["result"]
            self._handle(message)

    def _next(self) -> dict[str, Any]:
        if not self._waiting:
            self._handle(self._receive())
        return self._waiting.popleft() if self._waiting else {}

    def _handle(self, message: dict[str, Any]) -> None:
        """Answer what the server asks; keep what it tells."""
        if "id" not in message:
            self._waiting.append(message)
            return
        result: Any = None
        if message["method"] == "workspace/configuration":
            sections = [item.get("section", "") for item in message["params"]["items"]]
            result = [self._settings.get(section, {}) for section in sections]
        self._send({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps(message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(f"Content-Length: {len(content)}\r\n\r\n".encode() + content)
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        length = 0
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if not length:
            raise EOFError("the language server ended")
        found: dict[str, Any] = json.loads(stream.read(length))
        return found

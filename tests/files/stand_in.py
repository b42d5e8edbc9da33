"""A hub for tests: as much of the Hugging Face Hub's HTTP interface as a model needs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_tests"


@dataclass
class Repository:
    """Commits, each with all its files, and where the branches are."""

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        oid = hashlib.sha1(str(len(self.commits)).encode()).hexdigest()
        self.commits[oid], self.branches[branch] = files, oid
        return oid

    def files(self, branch: str = "main") -> dict[str, bytes]:
        return self.commits[self.branches[branch]]


@dataclass
class Hub:
    """What the stand-in holds, and what it was asked."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)  # large files, by their digest
    asked: list[str] = field(default_factory=list)  # method and path
    fails_at: str = ""  # requests whose path has it end without an answer

    def add(self, name: str, files: dict[str, bytes]) -> Repository:
        self.repositories[name] = Repository()
        self.repositories[name].commit("main", files)
        return self.repositories[name]


@contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    do_GET = do_POST = do_PUT = do_HEAD

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        body = self._body()
        self.hub.asked.append(f"{self.command} {path}")
        if self.hub.fails_at and self.hub.fails_at in path:
            self.close_connection = True
            return
        parts = [unquote(part) for part in path.strip("/").split("/")]
        may_write = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if self.command in ("POST", "PUT") and not may_write and parts[0] != "large":
            self._json({"error": "Invalid username or password."}, 401)
        elif parts == ["api", "validate-yaml"]:
            self._json({"errors": [], "warnings": []})
        elif parts == ["api", "repos", "create"]:
            self._create(json.loads(body))
        elif parts[0] == "large":
            self._store(parts, body)
        elif parts[0] == "api":
            name, (what, *rest) = "/".join(parts[2:4]), parts[4:] or ["revision", "main"]
            if (repository := self._repository(name, may_write)) is not None:
                self._api(repository, what, rest[0], body)
        elif parts[1].endswith(".git"):
            self._batch(json.loads(body))
        else:
            if (repository := self._repository("/".join(parts[:2]), may_write)) is not None:
                self._resolve(repository, parts[3], "/".join(parts[4:]))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def _repository(self, name: str, may_read: bool) -> Repository | None:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not may_read):
            self._json({"error": "Repository not found"}, 401, {"X-Error-Code": "RepoNotFound"})
            return None
        return repository

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        is_new = name not in self.hub.repositories
        if is_new:
            private = asked.get("private") or asked.get("visibility") == "private"
            self.hub.add(name, {".gitattributes": b""}).private = bool(private)
        self._json({"url": f"{self.hub.url}/{name}"}, 200 if is_new else 409)

    def _api(self, repository: Repository, what: str, revision: str, body: bytes) -> None:
        if what == "branch":
            repository.branches[revision] = repository.branches["main"]
            self._json({})
            return
        oid = repository.branches.get(revision, revision)
        if oid not in repository.commits:
            self._json({"error": "No such revision"}, 404, {"X-Error-Code": "RevisionNotFound"})
        elif what == "revision":
            siblings = [{"rfilename": name} for name in repository.commits[oid]]
            told = {"id": "a/b", "sha": oid, "private": repository.private, "siblings": siblings}
            self._json(told)
        elif what == "preupload":
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self._json({"files": modes})
        elif what == "commit":
            self._commit(repository, revision, [json.loads(line) for line in body.splitlines()])

    def _commit(
        self, repository: Repository, branch: str, operations: list[dict[str, Any]]
    ) -> None:
        files = dict(repository.files(branch))
        for operation in operations:
            key, value = operation["key"], operation["value"]
            if key == "header" and value["parentCommit"] != repository.branches[branch]:
                self._json({"error": "The branch has moved"}, 412)
                return
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.hub.stored[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        oid = repository.commit(branch, files)
        self._json({"commitUrl": f"{self.hub.url}/a/b/commit/{oid}", "commitOid": oid})

    def _batch(self, asked: dict[str, Any]) -> None:
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.hub.url}/large/{each['oid']}"}}}
            for each in asked["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def _store(self, parts: list[str], body: bytes) -> None:
        assert hashlib.sha256(body).hexdigest() == parts[1]
        self.hub.stored[parts[1]] = body
        self._json({})

    def _resolve(self, repository: Repository, revision: str, name: str) -> None:
        oid = repository.branches.get(revision, revision)
        if oid not in repository.commits:
            self._json({"error": "No such revision"}, 404, {"X-Error-Code": "RevisionNotFound"})
        elif name not in repository.commits[oid]:
            said = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": oid}
            self._json({"error": "No such file"}, 404, said)
        else:
            data = repository.commits[oid][name]
            etag = hashlib.sha256(data).hexdigest()
            self._send(data, 200, {"X-Repo-Commit": oid, "ETag": f'"{etag}"'})

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(value).encode(), status, headers or {})

    def _send(self, data: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

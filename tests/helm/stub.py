"""A Kubernetes API server that keeps what it is given, finishes jobs and pods at once, and remembers every change it was asked for."""

import itertools
import json
import queue
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

import kinds
import wire

VERSION = {"major": "1", "minor": "33", "gitVersion": "v1.33.0", "platform": "linux/amd64"}
# What a controller of a real cluster would write into the status at once.
DONE = {
    "Job": {"succeeded": 1, "completionTime": "2026-01-01T00:00:00Z", "conditions": [{"type": "Complete", "status": "True"}]},
    "PersistentVolumeClaim": {"phase": "Bound"},
    "Pod": {"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "True"}]},
}
FAILED = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "it failed"}


def deployment_status(found, well):
    """That of a Deployment whose pods are all ready, or never will be."""
    wanted = found["spec"].get("replicas", 1)
    ready = wanted if well else 0
    conditions = [{"type": "Available", "status": str(well)}, {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]
    counts = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready}
    return {"observedGeneration": 1, "conditions": conditions, **counts}


def merge(old, patch):
    """A merge patch. As in Kubernetes' own kind of it, lists of named things are merged by name; other lists are replaced."""
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            old.pop(key, None)
        elif isinstance(value, dict) and isinstance(old.get(key), dict):
            merge(old[key], value)
        elif isinstance(value, list) and isinstance(old.get(key), list) and all(isinstance(v, dict) and "name" in v for v in value):
            old[key] = merge_named(old[key], value)
        else:
            old[key] = value
    return old


def merge_named(old, patch):
    items = {item["name"]: item for item in old}
    for item in patch:
        if item.get("$patch") == "delete":
            items.pop(item["name"], None)
        else:
            merge(items.setdefault(item["name"], {}), item)
    return list(items.values())


class Stub:
    """Its state. `without`: groups it does not know. What names the image tag `broken` ends badly."""

    def __init__(self, without=()):
        self.kinds = kinds.served(without)
        self.objects, self.changes, self.watchers, self.version = {}, [], [], 1
        self.lock = threading.RLock()
        handler = type("Handler", (Handler,), {"stub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def kubeconfig(self):
        server = f"http://127.0.0.1:{self.server.server_port}"
        return yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "stub",
            "clusters": [{"name": "stub", "cluster": {"server": server}}],
            "users": [{"name": "stub", "user": {}}],
            "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub", "namespace": "broker"}}],
        })

    def stored(self, path, given):
        """What becomes of an object once it is stored."""
        self.version += 1
        meta = given.setdefault("metadata", {})
        meta.update(resourceVersion=str(self.version), uid=f"uid-{self.version}", creationTimestamp="2026-01-01T00:00:00Z")
        meta.setdefault("generation", 1)
        kind, well = given.get("kind"), ":broken" not in json.dumps(given)
        if kind == "Deployment":
            given["status"] = deployment_status(given, well)
        elif kind == "Job" and not well:
            given["status"] = {"failed": 1, "conditions": [FAILED]}
        elif kind == "Service":
            given["spec"].setdefault("clusterIP", "10.96.0.10")
            given["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
        elif kind in DONE:
            given["status"] = DONE[kind]
        kind = "MODIFIED" if path in self.objects else "ADDED"
        self.objects[path] = given
        self.tell(path, kind, given)
        return given

    def tell(self, path, kind, found):
        """Tells those who watch."""
        for watched, query, events in self.watchers:
            if path.rsplit("/", 1)[0] == watched and selected(found, query):
                events.put({"type": kind, "object": json.loads(json.dumps(found))})

    def note(self, verb, path, body):
        """Helm's own records are left out."""
        if not path.rsplit("/", 1)[-1].startswith("sh.helm.release"):
            self.changes.append({"verb": verb, "path": path, "object": json.loads(json.dumps(body))})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: Stub

    def log_message(self, *_):
        pass

    def answer(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def refuse(self, code, reason):
        self.answer(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code})

    def body(self):
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        if data.startswith(wire.MAGIC):
            # Nothing but Helm's Secrets comes in this form; options of a deletion do too.
            return wire.secret(data) if self.command in ("POST", "PUT") else {}
        if "yaml" in (self.headers.get("content-type") or ""):
            return yaml.safe_load(data)
        return json.loads(data) if data else {}

    def split(self):
        url = urllib.parse.urlsplit(self.path)
        return url.path.rstrip("/"), urllib.parse.parse_qs(url.query)

    def kind_at(self, path):
        """The kind of a collection's path, and the object's name if there is one."""
        parts = path.strip("/").split("/")
        group, rest = (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            rest = rest[2:]
        for known, plural, kind, _ in self.stub.kinds:
            if known == group and rest and rest[0] == plural:
                return (group, kind), (rest[1] if len(rest) > 1 else None)
        return None, None

    def do_GET(self):
        path, query = self.split()
        fixed = {"/version": VERSION, "/apis": kinds.api_groups(self.stub.kinds), "/api": {"kind": "APIVersions", "versions": ["v1"]}}
        if path in fixed:
            return self.answer(200, fixed[path])
        if path == "/openapi/v3":
            return self.answer(200, kinds.openapi_root(self.stub.kinds))
        if path.startswith("/openapi/v3/"):
            return self.answer(200, kinds.openapi(self.stub.kinds, path.split("/", 3)[3]))
        if path == "/api/v1" or path.startswith("/apis/") and path.count("/") == 3:
            return self.answer(200, kinds.resources(self.stub.kinds, path.split("/", 2)[2]))
        kind, name = self.kind_at(path)
        if kind is None:
            return self.refuse(404, "NotFound")
        with self.stub.lock:
            if name is not None:
                found = self.stub.objects.get(path)
                return self.answer(200, found) if found else self.refuse(404, "NotFound")
            items = [json.loads(json.dumps(o)) for at, o in self.stub.objects.items() if at.rsplit("/", 1)[0] == path and selected(o, query)]
            events = queue.Queue()
            if "watch" in query:
                self.stub.watchers.append((path, query, events))
        if "watch" in query:
            return self.watch(kind, items if "sendInitialEvents" in query else [], events)
        return self.answer(200, {"kind": f"{kind[1]}List", "apiVersion": kind[0], "metadata": {"resourceVersion": str(self.stub.version)}, "items": items})

    def watch(self, kind, items, events):
        """Tells what is there and, as it happens, what becomes of it; until the client has heard enough."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        end = {"annotations": {"k8s.io/initial-events-end": "true"}, "resourceVersion": str(self.stub.version)}
        first = [{"type": "ADDED", "object": item} for item in items]
        first.append({"type": "BOOKMARK", "object": {"kind": kind[1], "apiVersion": kind[0], "metadata": end}})
        try:
            for event in itertools.chain(first, iter(events.get, None)):
                self.wfile.write(json.dumps(event).encode() + b"\n")
                self.wfile.flush()
        except OSError:
            pass

    def do_POST(self):
        path, _ = self.split()
        given = self.body()
        at = f"{path}/{given['metadata']['name']}"
        with self.stub.lock:
            if self.kind_at(path)[0] is None:
                return self.refuse(404, "NotFound")
            if at in self.stub.objects:
                return self.refuse(409, "AlreadyExists")
            self.stub.note("create", at, given)
            self.answer(201, self.stub.stored(at, given))

    def do_PUT(self):
        path, _ = self.split()
        with self.stub.lock:
            given = self.body()
            self.stub.note("replace", path, given)
            self.answer(200, self.stub.stored(path, given))

    def do_PATCH(self):
        path, _ = self.split()
        with self.stub.lock:
            given = self.body()
            whole = "apply" in (self.headers.get("content-type") or "")
            if not whole and path not in self.stub.objects:
                return self.refuse(404, "NotFound")
            new = given if whole else merge(self.stub.objects[path], given)
            self.stub.note("apply" if whole else "patch", path, given)
            self.answer(200, self.stub.stored(path, new))

    def do_DELETE(self):
        path, _ = self.split()
        self.body()
        with self.stub.lock:
            gone = self.stub.objects.pop(path, None)
            if gone is None:
                return self.refuse(404, "NotFound")
            self.stub.tell(path, "DELETED", gone)
            self.stub.note("delete", path, None)
            self.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})


def selected(found, query):
    """Whether labels and name are as asked."""
    labels = found["metadata"].get("labels") or {}
    for part in filter(None, query.get("labelSelector", [""])[0].split(",")):
        key, _, value = part.partition("=")
        if labels.get(key.strip("!")) != value.strip("="):
            return False
    for part in filter(None, query.get("fieldSelector", [""])[0].split(",")):
        key, _, value = part.partition("=")
        if key == "metadata.name" and found["metadata"]["name"] != value:
            return False
    return True

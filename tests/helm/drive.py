"""Drives the real Helm against a stub of an API server. Reads a job from standard input and writes one line of JSON for it:
{"chart": …, "without": [groups], "steps": [{"do": "install", "values": {…}}, …]}. The answer has for each step whether it
worked, Helm's sentence if it did not, what it asked the server to change, and the manifest and hooks of the release."""

import asyncio
import json
import os
import re
import shutil
import sys
import tempfile

import helm_sdkpy as helm
import yaml

from stub import Stub, merge

RELEASE, NAMESPACE = "token", "broker"


class Driver:
    def __init__(self, job):
        self.chart = job["chart"]
        self.stub = Stub(job.get("without", ()))
        self.config = helm.Configuration(namespace=NAMESPACE, kubeconfig=self.stub.kubeconfig())

    async def step(self, step):
        do, values = step["do"], step.get("values", {})
        if do == "lint":
            return await self.lint(values)
        if do == "install":
            return await helm.Install(self.config).run(RELEASE, self.chart, values=values, timeout=60)
        if do == "upgrade":
            return await helm.Upgrade(self.config).run(RELEASE, self.chart, values=values, timeout=60)
        if do == "upgrade_or_roll_back":
            # The library's own call for a rollback leaves out what Helm needs for it; an upgrade that fails rolls back in Helm itself.
            upgrade = helm.Upgrade(self.config).run(RELEASE, self.chart, values=values, timeout=5, rollback_on_failure=True)
            return await upgrade
        if do == "history":
            return await helm.History(self.config).run(RELEASE)
        if do == "uninstall":
            return await helm.Uninstall(self.config).run(RELEASE)
        if do == "test":
            return await helm.ReleaseTest(self.config).run(RELEASE)
        raise SystemExit(f"what is {do}?")

    async def lint(self, values):
        """Lints a copy of the chart whose defaults are these values: the library's call takes none."""
        with tempfile.TemporaryDirectory() as directory:
            copy = shutil.copytree(self.chart, os.path.join(directory, "broker"))
            with open(os.path.join(copy, "values.yaml"), "r+") as file:
                merged = merge(yaml.safe_load(file), values)
                file.seek(0)
                file.truncate()
                yaml.safe_dump(merged, file)
            return await helm.Lint(self.config).run(copy)

    async def report(self, step):
        before = len(self.stub.changes)
        try:
            result, error = await self.step(step), None
        except helm.HelmError as refused:
            result, error = None, str(refused)
        return {"error": error, **told(result), "changes": self.stub.changes[before:]}


def told(result):
    """Of a release: its state, its notes and all it consists of. Of a lint: the messages."""
    if isinstance(result, dict) and "manifest" in result:
        info = result["info"]
        whole = text(result)
        objects = list(filter(None, yaml.safe_load_all(whole)))
        return {"status": info["status"], "notes": info.get("notes", ""), "text": whole, "objects": objects}
    if isinstance(result, dict) and "Messages" in result:
        return {"messages": [str(message) for message in result["Messages"] or [] if message["Severity"] > 1]}
    if isinstance(result, list):
        return {"history": [release["info"]["status"] for release in result]}
    return {}


def text(release):
    """Every document of a release, hooks among them, in an order of their own: Helm's may differ from run to run."""
    documents = [part.strip() for part in re.split(r"^---$", release["manifest"], flags=re.MULTILINE)]
    documents += [f"# Source: {hook['path']}\n{hook['manifest'].strip()}" for hook in release.get("hooks") or []]

    def key(document):
        found = yaml.safe_load(document)
        return document.splitlines()[0], found["kind"], found["metadata"]["name"]

    return "".join(f"---\n{document}\n" for document in sorted(filter(None, documents), key=key))


async def main():
    job = json.load(sys.stdin)
    driver = Driver(job)
    reports = [await driver.report(step) for step in job["steps"]]
    left = sorted(path for path in driver.stub.objects if "sh.helm.release" not in path)
    print(json.dumps({"steps": reports, "left": left}))


if __name__ == "__main__":
    # Helm keeps caches below these.
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(HOME=home, HELM_CACHE_HOME=home, HELM_CONFIG_HOME=home, HELM_DATA_HOME=home)
        asyncio.run(main())

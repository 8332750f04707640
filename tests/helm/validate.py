"""Checks objects against Kubernetes' own schemas, unknown fields refused. Reads {"versions": […], "objects": […]} from standard input and writes a
list of what does not fit."""

import json
import sys

import kubernetes_validate

from kinds import CUSTOM


def faults(found, version):
    name = f"{version}: {found['kind']} {found['metadata']['name']}"
    try:
        kubernetes_validate.validate(found, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{name}: {'/'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield f"{name}: {error.message}"


def main():
    job = json.load(sys.stdin)
    own = [found for found in job["objects"] if found["apiVersion"] not in CUSTOM]
    found = [fault for version in job["versions"] for one in own for fault in faults(one, version)]
    print(json.dumps({"checked": len(own) * len(job["versions"]), "faults": found}))


if __name__ == "__main__":
    main()

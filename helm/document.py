#!/usr/bin/env python3
"""Writes what follows from values.yaml: the table of the chart's README and values.schema.json. With --check, only says what is not current.
Needs PyYAML."""

import json
import sys

import yaml

import schema

VALUES = schema.CHART / "values.yaml"
README = schema.CHART / "README.md"
SCHEMA = schema.CHART / "values.schema.json"
BEGIN, END = "<!-- values: written by helm/document.py -->\n", "<!-- end of values -->\n"


def comments(text):
    """The `# --` comment above each key, by path, in order."""
    found, path, words = {}, [], None
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("# --"):
            words = [bare[4:].strip()]
        elif bare.startswith("#"):
            if words is not None:
                words.append(bare[1:].strip())
        elif ":" in bare and not bare.startswith("-"):
            depth = (len(line) - len(line.lstrip())) // 2
            path = [*path[:depth], bare.split(":")[0]]
            if words is not None:
                found[tuple(path)] = " ".join(words)
            words = None
        else:
            words = None
    return found


def leaves(path, value, told):
    """Every value that can be set: those with a comment, and whatever has none above it."""
    if path in told or not isinstance(value, dict):
        yield path, value
    else:
        for key, inner in value.items():
            yield from leaves((*path, key), inner, told)


def shown(value):
    return f"`{json.dumps(value, ensure_ascii=False)}`".replace("|", "\\|")


def table(values, told):
    rows = ["| value | default | what it is |", "|---|---|---|"]
    for path, value in leaves((), values, told):
        if path not in told:
            raise SystemExit(f"values.yaml: {'.'.join(path)} has no comment")
        rows.append(f"| `{'.'.join(path)}` | {shown(value)} | {told[path]} |")
    return "\n".join(rows) + "\n"


def main(arguments):
    text = VALUES.read_text()
    values, told = yaml.safe_load(text), comments(text)
    before, rest = README.read_text().split(BEGIN)
    readme = before + BEGIN + table(values, told) + END + rest.split(END)[1]
    stale = []
    for file, new in [(README, readme), (SCHEMA, schema.schema(values, told))]:
        if not file.exists() or file.read_text() != new:
            stale.append(file.name)
            if arguments != ["--check"]:
                file.write_text(new)
    if arguments == ["--check"] and stale:
        raise SystemExit(f"not current: {', '.join(stale)}; run python3 helm/document.py")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Reads the YAML file that a job on standard input names, and writes its documents as JSON: one as it is, several as a list."""

import json
import sys

import yaml


def main():
    with open(json.load(sys.stdin)["file"]) as file:
        documents = list(yaml.safe_load_all(file))
    print(json.dumps(documents[0] if len(documents) == 1 else documents))


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# Builds the image from bases that are pinned by digest, and refuses others.
#   usage: image/build.sh [--check] --builder IMAGE@sha256:… --runtime IMAGE@sha256:… [--tag NAME]…
# `--check` only looks at the bases. Look digests up where you trust them, e.g.: docker buildx imagetools inspect gcr.io/distroless/cc-debian12:nonroot
set -euo pipefail

fail() {
    echo "image/build.sh: $1" >&2
    exit 2
}

pinned() {
    [[ $2 =~ ^[a-z0-9][a-z0-9./_-]*(:[0-9]+/[a-z0-9./_-]+)?(:[A-Za-z0-9_][A-Za-z0-9._-]*)?@sha256:[0-9a-f]{64}$ ]] ||
        fail "$1 is not pinned: give IMAGE@sha256:… with the whole digest, not '$2'"
}

builder='' runtime='' check='' tags=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --check) check=1 && shift ;;
        --builder | --runtime | --tag)
            [[ $# -gt 1 ]] || fail "$1 needs a value"
            case $1 in
                --builder) builder=$2 ;;
                --runtime) runtime=$2 ;;
                --tag) tags+=(--tag "$2") ;;
            esac
            shift 2
            ;;
        *) fail "what is $1? See the head of this file" ;;
    esac
done
pinned --builder "$builder"
pinned --runtime "$runtime"
[[ -z $check ]] || exit 0

cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec docker build --pull --build-arg "BUILDER=$builder" --build-arg "RUNTIME=$runtime" "${tags[@]}" .

#!/usr/bin/env bash
# Writes constraints.txt: one version and the hashes of every package that any
# part of the workspace may install, for every platform. No download host is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() { .venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --quiet "$@"; }
lock --all-extras --no-emit-package isocenter-core --group pyproject.toml:dev -o constraints.txt \
  {libs/core,services/storescp,services/tlm-proxy,services/fetcher,operator,pipeline,devcloud}/pyproject.toml
lock -o hack/uv.txt hack/uv.in

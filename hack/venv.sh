#!/usr/bin/env bash
# Makes .venv with every package of the workspace, editable, and the development
# tools, at the versions and hashes of constraints.txt. Does nothing when it is
# already what the project files ask for.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null
  else
    echo "Python 3.11 or later with venv is needed (Debian: apt-get install python3-venv)." >&2
    exit 1
  fi
fi

projects=(libs/core services/storescp services/tlm-proxy services/fetcher operator pipeline devcloud)
inputs=(pyproject.toml constraints.txt hack/uv.txt hack/venv.sh)
for project in "${projects[@]}"; do
  # devcloud is a separate thing: the workspace is whole without it.
  [[ -f $project/pyproject.toml ]] && inputs+=("$project/pyproject.toml")
done
wanted=$(cat "${inputs[@]}" | sha256sum | cut -c1-16)-$(pwd | sha256sum | cut -c1-8)
[[ -f .venv/made-from && $(<.venv/made-from) == "$wanted" ]] && exit 0

echo "installing the development environment into .venv"
[[ -x .venv/bin/python ]] || "$python" -m venv .venv
[[ -x .venv/bin/uv ]] || .venv/bin/pip install --quiet --require-hashes -r hack/uv.txt
editable=()
for project in "${projects[@]}"; do
  [[ -f $project/pyproject.toml ]] || continue
  [[ $project == pipeline ]] && project='pipeline[train]'
  editable+=(-e "$project")
done
VIRTUAL_ENV=$PWD/.venv .venv/bin/uv pip install --quiet -c constraints.txt \
  --build-constraints constraints.txt "${editable[@]}" --group pyproject.toml:dev
echo "$wanted" >.venv/made-from

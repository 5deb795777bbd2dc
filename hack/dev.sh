#!/usr/bin/env bash
# `skaffold dev` as `make dev` runs it: rebuilds and redeploys what changes.
#
#   hack/dev.sh [skaffold's options]
#
#   REGISTRY   host[:port] that images are pushed to (localhost:5000)
#   PROFILES   of skaffold.yaml, separated by commas (devcloud)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
REGISTRY=${REGISTRY:-localhost:5000}
# Where gcloud is installed, Skaffold asks it for each of Google's registries at every
# build, fifteen seconds in all, unless another helper is named for them; `none` is no
# program and answers at once. A registry on this machine needs no credentials.
if [[ $REGISTRY == localhost* ]]; then
  DOCKER_CONFIG=$(mktemp -d)
  export DOCKER_CONFIG
  trap 'rm -rf "$DOCKER_CONFIG"' EXIT
  helpers=
  for registry in {,us.,eu.,asia.,staging-k8s.,marketplace.}gcr.io; do
    helpers+=${helpers:+,}\"$registry\":\"none\"
  done
  echo "{\"credHelpers\":{$helpers}}" >"$DOCKER_CONFIG/config.json"
fi
skaffold dev --profile "${PROFILES:-devcloud}" --cleanup=false --watch-poll-interval=300 \
  --default-repo "$REGISTRY" "$@"

#!/usr/bin/env bash
# Runs make targets one after the other and says how long each took.
set -euo pipefail
cd "$(dirname "$0")/.."
report=()
finish() {
  local code=$?
  printf '\n%s\n' "time by tier:"
  printf '  %s\n' "${report[@]}"
  exit "$code"
}
trap finish EXIT
for tier in "$@"; do
  started=$SECONDS
  echo "── $tier"
  if make --no-print-directory "$tier"; then
    report+=("$(printf '%-14s %4d s' "$tier" $((SECONDS - started)))")
  else
    report+=("$(printf '%-14s %4d s  FAILED' "$tier" $((SECONDS - started)))")
    exit 1
  fi
done

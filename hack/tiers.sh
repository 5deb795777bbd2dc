#!/usr/bin/env bash
# Runs make targets one after the other, `a+b` side by side, and says how long
# each took. Tiers wait more than they compute, so two fit on two cores; what
# each printed is shown in one piece when it has ended.
set -euo pipefail
cd "$(dirname "$0")/.."
report=()
outputs=$(mktemp -d)
finish() {
  local code=$?
  rm -rf "$outputs"
  printf '\n%s\n' "time by tier:"
  printf '  %s\n' "${report[@]}"
  exit "$code"
}
trap finish EXIT

run_tier() { # TIER
  make --no-print-directory "$1"
}

note() { # TIER STARTED [REMARK]
  report+=("$(printf '%-14s %4d s%s' "$1" $((SECONDS - $2)) "${3:+  $3}")")
}

for group in "$@"; do
  started=$SECONDS
  if [[ $group != *+* ]]; then
    echo "── $group"
    run_tier "$group" || { note "$group" "$started" FAILED; exit 1; }
    note "$group" "$started"
    continue
  fi
  IFS=+ read -ra tiers <<<"$group"
  declare -A processes=()
  for tier in "${tiers[@]}"; do
    echo "── $tier (beside others, shown at its end)"
    run_tier "$tier" >"$outputs/$tier" 2>&1 &
    processes[$tier]=$!
  done
  failed=
  for tier in "${tiers[@]}"; do
    if wait "${processes[$tier]}"; then
      note "$tier" "$started"
    else
      note "$tier" "$started" FAILED
      failed=yes
    fi
    echo "── $tier"
    cat "$outputs/$tier"
  done
  [[ -z $failed ]] || exit 1
done

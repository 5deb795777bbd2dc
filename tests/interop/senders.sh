#!/usr/bin/env bash
# Builds dicom-rs's storescu, once. The other senders are Debian packages
# (hack/cluster/packages.sh) or in the development environment.
set -euo pipefail

# The version is fixed so that a run can be repeated.
version=0.10.1
root=${ISOCENTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/isocenter}/dicom-rs
[[ ! -x $root/bin/dicom-storescu ]] || exit 0
if ! command -v cargo >/dev/null; then
  echo "cargo is not there: install Rust, or leave dicom-rs's tests skipped" >&2
  exit 1
fi
cargo install dicom-storescu --version "$version" --locked \
  --no-default-features --features tls --root "$root"

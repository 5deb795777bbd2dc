#!/usr/bin/env bash
# Makes the static files that are served: stock OHIF and this project's extension.
#
#   services/viewer/build.sh OUT_DIR
#
# The image has the same folder, made by the same steps as layers of its own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:?usage: build.sh OUT_DIR}
if [[ -e $out && ! -e $out/ohif-license.txt && -n $(ls -A "$out") ]]; then
  echo "build.sh: $out is there, and not a viewer: not replaced" >&2
  exit 1
fi
tree=$("$here/fetch.sh")
mkdir -p "$(dirname "$out")"
new=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$new"' EXIT
cp -a "$tree/." "$new"
"$here/overlay.sh" "$new"
rm -rf "$out"
mv -T "$new" "$out"
trap - EXIT

#!/usr/bin/env bash
# Stock OHIF from its npm package: checked against its integrity hash, slimmed, and
# compressed ahead of time. Prints the folder, which is kept under a name made of the
# hash and of these scripts; what is there is not made again.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=services/viewer/ohif.env
source "$here/ohif.env"
cache=${ISOCENTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/isocenter}/viewer
key=$(cat "$here"/{ohif.env,fetch.sh,compress.sh} | sha256sum | cut -c1-12)
tree=$cache/ohif-$OHIF_VERSION-$key
if [[ -d $tree ]]; then
  echo "$tree"
  exit 0
fi

mkdir -p "$cache"
work=$(mktemp -d "$cache/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
if ! (cd "$work" && npm pack --silent --ignore-scripts "@ohif/app@$OHIF_VERSION" >/dev/null); then
  echo "fetch.sh: npm could not get @ohif/app@$OHIF_VERSION" >&2
  exit 1
fi
archive=$(echo "$work"/*.tgz)
got=sha512-$(openssl dgst -sha512 -binary "$archive" | base64 -w0)
if [[ $got != "$OHIF_INTEGRITY" ]]; then
  echo "fetch.sh: @ohif/app@$OHIF_VERSION is not the package that was tested:" >&2
  echo "  expected $OHIF_INTEGRITY" >&2
  echo "  got      $got" >&2
  exit 1
fi

# Left out: models of the segment-anything tools (136 MB), the whole-slide viewer
# (20 MB), source maps, files for other hosts' set-ups, and pages that load scripts
# from elsewhere. app-config.js is ours. All files in the package carry one date of
# 1985; -m gives them today's, since nginx makes the ETag of date and size.
mkdir "$work/tree"
tar -xzm --no-same-owner -C "$work/tree" --strip-components=2 -f "$archive" \
  --exclude='package/dist/ort' --exclude='package/dist/dicom-microscopy-viewer' \
  --exclude='*.map' --exclude='package/dist/app-config.js' \
  --exclude='package/dist/_headers' --exclude='package/dist/_redirects' \
  --exclude='package/dist/serve.json' --exclude='package/dist/google.js' \
  --exclude='package/dist/silent-refresh.html' --exclude='package/dist/sw.js' \
  package/dist
tar -xzm --no-same-owner -C "$work/tree" --strip-components=1 -f "$archive" package/LICENSE
mv "$work/tree/LICENSE" "$work/tree/ohif-license.txt"
chmod -R u=rwX,go=rX "$work/tree"
"$here/compress.sh" "$work/tree"
# Somebody else may have been quicker.
mv -T "$work/tree" "$tree" 2>/dev/null || [[ -d $tree ]]
echo "$tree"

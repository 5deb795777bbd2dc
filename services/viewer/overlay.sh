#!/usr/bin/env bash
# Puts what is ours over stock OHIF: its configuration, and the extension, compressed.
#
#   services/viewer/overlay.sh DIR
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1/isocenter"
# install gives today's date, see fetch.sh.
install -m 644 "$here/app-config.js" "$1/"
install -m 644 "$here"/extension/* "$1/isocenter/"
"$here/compress.sh" "$1/isocenter"
chmod 755 "$1" "$1/isocenter"

#!/usr/bin/env bash
# Serves the viewer: checks what it is told, writes nginx's configuration under
# VIEWER_RUN, becomes nginx. For the image and for tests on a host alike.
#
#   VIEWER_LISTEN       port, or address:port (8080)
#   VIEWER_ROOT         folder that build.sh made (/srv/viewer)
#   VIEWER_PLATFORM     file served as /platform.json (/etc/isocenter/viewer/platform.json)
#   VIEWER_PROXY        host:port of the tile proxy that /dicomweb/ and /usage/ go to;
#                       without it they are not found
#   VIEWER_CONNECT_SRC  more origins that pages may call, separated by spaces: other
#                       tile proxies and the identity provider
#   VIEWER_RUN          folder for what nginx writes (/tmp/viewer)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

refuse() {
  echo "serve.sh: $*" >&2
  exit 2
}

: "${VIEWER_LISTEN:=8080}" "${VIEWER_ROOT:=/srv/viewer}" "${VIEWER_RUN:=/tmp/viewer}"
: "${VIEWER_PLATFORM:=/etc/isocenter/viewer/platform.json}"
: "${VIEWER_PROXY:=}" "${VIEWER_CONNECT_SRC:=}" "${VIEWER_MODULES:=/usr/lib/nginx/modules}"

# Each goes into nginx's configuration as it is: nothing may end a directive there.
[[ $VIEWER_LISTEN =~ ^[][0-9a-zA-Z.:*]+$ ]] || refuse "VIEWER_LISTEN is not a port or address:port: $VIEWER_LISTEN"
[[ -z $VIEWER_PROXY || $VIEWER_PROXY =~ ^[][0-9a-zA-Z.:-]+:[0-9]+$ ]] || refuse "VIEWER_PROXY is not host:port: $VIEWER_PROXY"
for origin in $VIEWER_CONNECT_SRC; do
  [[ $origin =~ ^https?://[0-9a-zA-Z.-]+(:[0-9]+)?$ ]] || refuse "VIEWER_CONNECT_SRC: not an origin: $origin"
done
for name in VIEWER_ROOT VIEWER_RUN VIEWER_PLATFORM VIEWER_MODULES; do
  [[ ${!name} =~ ^/[0-9a-zA-Z._/-]+$ ]] || refuse "$name is not a plain absolute path: ${!name}"
done
[[ -f $VIEWER_ROOT/index.html ]] || refuse "VIEWER_ROOT has no index.html: $VIEWER_ROOT"
[[ -f $VIEWER_PLATFORM ]] || refuse "VIEWER_PLATFORM is not there: $VIEWER_PLATFORM"

read -ra origins <<<"$VIEWER_CONNECT_SRC"
VIEWER_CONNECT_SRC=${origins[*]:+ ${origins[*]}}
export VIEWER_LISTEN VIEWER_ROOT VIEWER_RUN VIEWER_PLATFORM VIEWER_CONNECT_SRC VIEWER_MODULES
mkdir -p "$VIEWER_RUN"
# shellcheck disable=SC2016 # envsubst is told the names, not the values
envsubst '$VIEWER_LISTEN $VIEWER_ROOT $VIEWER_RUN $VIEWER_PLATFORM $VIEWER_CONNECT_SRC $VIEWER_MODULES' \
  <"$here/nginx.conf" >"$VIEWER_RUN/nginx.conf"
if [[ -n $VIEWER_PROXY ]]; then
  echo "upstream tlm_proxy { server $VIEWER_PROXY; keepalive 64; }" >"$VIEWER_RUN/upstream.conf"
  cp "$here/forward.conf" "$VIEWER_RUN/forward.conf"
else
  : >"$VIEWER_RUN/upstream.conf"
  echo 'location ~ ^/(dicomweb|usage)/ { return 404; }' >"$VIEWER_RUN/forward.conf"
fi
# Started by root, as in a test, nginx's workers would be somebody who need not be able
# to read the files; the image is never root.
run_as=()
[[ $EUID -ne 0 ]] || run_as=(-g 'user root;')
exec nginx "${run_as[@]}" -e stderr -p "$VIEWER_RUN" -c "$VIEWER_RUN/nginx.conf"

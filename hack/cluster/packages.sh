#!/usr/bin/env bash
# Installs the Debian packages that the cluster and the tests need, if any is missing.
set -euo pipefail

# program or file that shows the package is there | package
NEEDS="
dockerd docker.io
containerd containerd
ctr containerd
/usr/lib/cni/bridge containernetworking-plugins
conntrack conntrack
iptables iptables
ipset ipset
nft nftables
ethtool ethtool
socat socat
ip iproute2
ss iproute2
curl curl
python3 python3
openssl openssl
debootstrap debootstrap
docker-registry docker-registry
dcmsend dcmtk
Orthanc orthanc
/usr/share/java/pixelmed.jar libpixelmed-java
java default-jre-headless
nginx nginx
/usr/lib/nginx/modules/ngx_http_brotli_static_module.so libnginx-mod-http-brotli-static
brotli brotli
chromium chromium
promtool prometheus
npm npm
envsubst gettext-base
"
# A docker client of another origin will do, so the test is for the program,
# not for the package.

missing() {
  local probe package
  while read -r probe package; do
    [[ -n $probe ]] || continue
    if [[ $probe == /* ]]; then
      [[ -e $probe ]] || echo "$package"
    elif ! command -v "$probe" >/dev/null && [[ ! -x /usr/sbin/$probe ]]; then
      echo "$package"
    fi
  done <<<"$NEEDS" | sort -u
}

mapfile -t packages < <(missing)
[[ ${#packages[@]} -gt 0 ]] || exit 0

command=(apt-get install -y --no-install-recommends "${packages[@]}")
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
  echo "Missing: ${packages[*]}" >&2
  echo "On Debian 12, as root: apt-get update && ${command[*]}" >&2
  exit 1
fi

# Some of these packages start a service when they are installed. up.sh starts
# what it needs by itself; a registry of the machine's would take its port.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
echo "installing ${packages[*]} ..."
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
"${command[@]}" >/dev/null
if [[ -n $(missing) ]]; then
  echo "Still missing after installation: $(missing | tr '\n' ' ')" >&2
  exit 1
fi

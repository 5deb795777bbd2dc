#!/usr/bin/env bash
# Gives the local dockerd the image our Dockerfiles start from. Where it can
# be pulled, it is. Where no image registry can be reached, a stand-in is made
# of the same Debian release with the same Python and goes by the same name,
# so the Dockerfiles stay what they are anywhere else.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

PYTHON_IMAGE=python:3.11-slim-bookworm
SUITE=bookworm
INCLUDE=python3,python3-venv,python3-pip,ca-certificates
AUTHORITIES=/etc/ssl/certs/ca-certificates.crt

if docker image inspect "$PYTHON_IMAGE" >/dev/null 2>&1; then
  exit 0
fi

# A pull that cannot succeed may take long to fail.
if timeout 20 docker pull -q "$PYTHON_IMAGE" 2>/dev/null; then
  exit 0
fi

# The mirror this machine installs its own packages from.
mirror() {
  local file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    [[ -r $file ]] || continue
    # One-line format: deb [options] URL suite components; deb822: URIs: URL.
    awk -v suite="$SUITE" '
      $1 == "deb" { for (i = 2; i < NF; i++) if ($i ~ /^[a-z]+:\/\// && $(i + 1) == suite) { print $i; exit } }
      $1 == "URIs:" { uri = $2 }
      $1 == "Suites:" { for (i = 2; i <= NF; i++) if ($i == suite) { print uri; exit } }
    ' "$file"
  done | head -n 1
}

# Only what makes the file system is part of the key: a change further down
# (environment, labels) must not cost another debootstrap.
key=$(echo "$SUITE $INCLUDE copyright" | cat - "$AUTHORITIES" | sha256sum | cut -c1-12)
archive=$IMAGES/python-$key.tar

make_archive() {
  local source work root
  source=$(mirror)
  if [[ -z $source ]]; then
    echo "base-image.sh: $PYTHON_IMAGE cannot be pulled, and no source of Debian $SUITE is configured for apt" >&2
    exit 1
  fi
  "$CLUSTER_SOURCE/packages.sh"
  echo "making $PYTHON_IMAGE with debootstrap; this takes about two minutes, once ..."
  mkdir -p "$IMAGES"
  work=$(mktemp -d "$IMAGES/.bootstrap.XXXXXX")
  # The trap runs when $work is no longer in scope.
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  root=$work/root
  if ! debootstrap --variant=minbase --include="$INCLUDE" "$SUITE" "$root" "$source" >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    exit 1
  fi
  # The official image has its Python in /usr/local and lets pip install into
  # it; programs expect both.
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
  ln -sf /usr/bin/python3 "$root/usr/local/bin/python"
  ln -sf /usr/bin/python3 "$root/usr/local/bin/python3"
  # Programs in the image must trust whom this machine trusts, or no package
  # can be installed behind a proxy that inspects TLS.
  cp -L "$AUTHORITIES" "$root$AUTHORITIES"
  printf 'APT::Install-Recommends "false";\nAcquire::Languages "none";\n' >"$root/etc/apt/apt.conf.d/90-slim"
  # Licences stay, as in the official image: they must be passed on with what they cover.
  find "$root/usr/share/doc" -type f ! -name copyright -delete
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* \
    "$root"/usr/share/{man,locale}/* "$root"/var/log/*.log
  tar -c --numeric-owner -C "$root" -f "$work/archive" .
  mv "$work/archive" "$archive"
}

began=$SECONDS
[[ -s $archive ]] || make_archive
docker import \
  --change "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin" \
  --change "ENV LANG=C.UTF-8" \
  --change "ENV SSL_CERT_FILE=$AUTHORITIES PIP_CERT=$AUTHORITIES REQUESTS_CA_BUNDLE=$AUTHORITIES" \
  --change "ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore" \
  --change 'CMD ["python3"]' \
  "$archive" "$PYTHON_IMAGE" >/dev/null
echo "$PYTHON_IMAGE made in $((SECONDS - began)) s"

#!/usr/bin/env bash
# Builds the project's images and pushes them to the registry, under a tag
# made of what goes into them: what has not changed is neither built nor
# pushed, and a changed image is a changed reference, which rolls pods over.
#
#   hack/images.sh                 all of them
#   hack/images.sh fetcher trainer only these
#   hack/images.sh --list          only print the references
#
# The references are printed and kept in images.env in the cache, as
# name=registry/isocenter/name:tag.
#
# BASE_IMAGE=name@sha256:digest is what the images start from, for a release
# (docs/how-to/release.md); without it, the tag that the Dockerfiles name.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/cluster/env.sh"
cd "$REPOSITORY"

REGISTRY=${REGISTRY:-localhost:$REGISTRY_PORT}
NAMES=(storescp tlm-proxy viewer fetcher operator trainer devcloud)

dockerfile() {
  case $1 in
    storescp | tlm-proxy | viewer | fetcher) echo "services/$1/Dockerfile" ;;
    operator | devcloud) echo "$1/Dockerfile" ;;
    trainer) echo pipeline/Dockerfile ;;
    *)
      echo "images.sh: no such image: $1 (there are: ${NAMES[*]})" >&2
      return 2 ;;
  esac
}

# What a Dockerfile copies from the repository, one path per line.
copied() {
  # Joins continued lines, leaves out copies from another stage and options.
  sed -e ':a' -e '/\\$/{N;s/\\\n//;ba' -e '}' "$1" | awk '
    toupper($1) == "COPY" || toupper($1) == "ADD" {
      if ($0 ~ /--from=/) next
      for (i = 2; i < NF; i++) if ($i !~ /^--/) print $i
    }'
}

# The build's context: the inputs as git sees them, without what is ignored
# (caches, compiled Python). Owners, times and umask are taken out, so equal
# inputs make equal archives; and what is hashed is what is built, even when
# somebody saves a file meanwhile. The time is one that zip files can hold.
context() { # DOCKERFILE ARCHIVE
  local -a paths
  mapfile -t paths < <(copied "$1")
  git ls-files -z -co --exclude-standard -- "$1" .dockerignore "${paths[@]}" |
    sort -zu |
    while IFS= read -r -d '' path; do [[ ! -e $path ]] || printf '%s\0' "$path"; done |
    tar -c --null -T - -f "$2" --mtime=2000-01-01T00:00Z --owner=0 --group=0 --numeric-owner --mode=u+w,go=rX
}

pushed() { # REPOSITORY TAG
  local scheme=https
  [[ $REGISTRY != localhost* && $REGISTRY != 127.* ]] || scheme=http
  curl -fsSI -o /dev/null --max-time 5 \
    -H 'Accept: application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json' \
    "$scheme://${REGISTRY%%/*}/v2/$1/manifests/$2" 2>/dev/null
}

# Settings of this machine that a Dockerfile may ask for with ARG; the proxy
# ones need not be asked for.
build_arguments() {
  local name
  for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    [[ -z ${!name:-} ]] || echo "--build-arg=$name"
  done
  for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_CERT PIP_TRUSTED_HOST UV_DEFAULT_INDEX SSL_CERT_FILE; do
    if [[ -n ${!name:-} ]] && grep -qiE "^ARG[[:space:]]+$name\b" "$1"; then
      echo "--build-arg=$name"
    fi
  done
}

make_image() { # DOCKERFILE REFERENCE ARCHIVE
  local -a arguments
  mapfile -t arguments < <(build_arguments "$1")
  if [[ -n $BASE_IMAGE ]]; then
    arguments+=("--build-arg=BASE=$BASE_IMAGE"
      "--label=org.opencontainers.image.base.name=${BASE_IMAGE%@*}"
      "--label=org.opencontainers.image.base.digest=${BASE_IMAGE#*@}")
  fi
  # The host's network: package registries are reached the way the host
  # reaches them, whatever resolver or proxy on loopback that takes.
  docker build --network host -f "$1" -t "$2" "${arguments[@]}" - <"$3" >&2
  docker push -q "$2" >&2
}

remember() { # NAME REFERENCE; another run may be writing its own
  (
    flock 8
    { grep -v "^$1=" "$CACHE/images.env" || true; echo "$1=$2"; } >"$CACHE/images.env.new" 2>/dev/null
    mv "$CACHE/images.env.new" "$CACHE/images.env"
  ) 8>"$CACHE/images.lock"
}

BASE_IMAGE=${BASE_IMAGE:-}
if [[ -n $BASE_IMAGE && ! $BASE_IMAGE =~ ^[^@[:space:]]+@sha256:[0-9a-f]{64}$ ]]; then
  echo "images.sh: BASE_IMAGE is not name@sha256:digest: $BASE_IMAGE" >&2
  exit 2
fi
if [[ -z $BASE_IMAGE && $REGISTRY != localhost* ]]; then
  echo "images.sh: the base image is named by its tag; a release names its digest in BASE_IMAGE" >&2
fi

list=
[[ ${1:-} != --list ]] || { list=yes; shift; }
[[ $# -gt 0 ]] || set -- "${NAMES[@]}"
for name in "$@"; do
  file=$(dockerfile "$name")
  if [[ ! -f $file ]]; then
    echo "images.sh: $name has no $file" >&2
    exit 1
  fi
done
# The client's plugin may be missing; the daemon's own builder does as well.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0

mkdir -p "$CACHE"
archive=$(mktemp)
trap 'rm -f "$archive"' EXIT
for name in "$@"; do
  file=$(dockerfile "$name")
  repository=${REGISTRY#*/}/isocenter/$name
  [[ $REGISTRY == */* ]] || repository=isocenter/$name
  context "$file" "$archive"
  version=$(printf %s "$BASE_IMAGE" | cat "$archive" - | sha256sum | cut -c1-12)
  reference=$REGISTRY/isocenter/$name:$version
  if [[ -z $list ]]; then
    if ! pushed "$repository" "$version"; then
      [[ -n $BASE_IMAGE ]] || "$CLUSTER_SOURCE/base-image.sh" >&2
      began=$SECONDS
      make_image "$file" "$reference" "$archive"
      echo "built and pushed $name in $((SECONDS - began)) s" >&2
    fi
    remember "$name" "$reference"
  fi
  echo "$name=$reference"
done

#!/usr/bin/env bash
# dockerd to build images with, and the registry the node pulls them from.
# Sourced by up.sh.

docker_answers() { docker version --format '{{.Server.Version}}'; }
registry_answers() { curl -fsS --noproxy '*' -o /dev/null "http://127.0.0.1:$REGISTRY_PORT/v2/"; }

start_docker() {
  if docker_answers >/dev/null 2>&1; then
    return
  fi
  # What a killed dockerd leaves; a new one would take the pid in it for a
  # running daemon as soon as any process has that pid.
  rm -f /var/run/docker.pid
  # The host's own data root: images outlive `down.sh --purge`.
  start dockerd dockerd --exec-opt native.cgroupdriver=cgroupfs
}

start_registry() {
  if alive registry; then
    return
  fi
  if ss -Hltn "sport = :$REGISTRY_PORT" | grep -q .; then
    if registry_answers 2>/dev/null; then
      progress "using the registry that already listens on port $REGISTRY_PORT"
      return
    fi
    echo "Port $REGISTRY_PORT is taken by something that is no image registry." >&2
    echo "Stop it, or choose another one: ISOCENTER_REGISTRY_PORT=5001 hack/cluster/up.sh" >&2
    echo "(and REGISTRY=localhost:5001 hack/images.sh)" >&2
    return 1
  fi
  # Images are kept with the cache, not with the cluster's state: a new
  # cluster can run what has been pushed to the old one.
  mkdir -p "$CACHE/registry" "$CLUSTER/registry"
  cat >"$CLUSTER/registry/config.yml" <<YAML
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: $CACHE/registry}
  delete: {enabled: true}
http: {addr: "127.0.0.1:$REGISTRY_PORT"}
YAML
  start registry docker-registry serve "$CLUSTER/registry/config.yml"
}

# The pause image cannot be pulled here, so it is made: one static program.
make_pause_archive() {
  local program archive
  program=$(readlink -f "$BIN/pause")
  archive=$IMAGES/sandbox-$(basename "$(dirname "$program")").tar
  if [[ ! -s $archive ]]; then
    mkdir -p "$IMAGES"
    tar -c -C "$(dirname "$program")" --owner=0 --group=0 pause |
      docker import --change 'ENTRYPOINT ["/pause"]' --change 'USER 65535:65535' - "$PAUSE_IMAGE" >/dev/null
    docker save -o "$archive.new" "$PAUSE_IMAGE"
    mv "$archive.new" "$archive"
  fi
  echo "$archive"
}

#!/usr/bin/env bash
# Ends everything that up.sh started and nothing else. Objects, volumes and
# images of the cluster are kept for the next up.sh; with --purge they go too.
# Built programs, pushed images and Docker's images always stay.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
# shellcheck source=processes.sh
source "$CLUSTER_SOURCE/processes.sh"
# shellcheck source=network.sh
source "$CLUSTER_SOURCE/network.sh"

purge=
case ${1:-} in
  "") ;;
  --purge) purge=yes ;;
  *) echo "usage: down.sh [--purge]" >&2; exit 2 ;;
esac
if [[ $EUID -ne 0 ]]; then
  echo "down.sh: needs root, as up.sh does" >&2
  exit 1
fi
if [[ ! -d $CLUSTER ]]; then
  echo "There is no cluster."
  exit 0
fi
exec 9>"$CACHE/cluster.lock"
flock 9

# The shims of our containerd, known by the socket they were given.
shims() {
  local directory words
  for directory in /proc/[0-9]*; do
    words=()
    mapfile -d '' -t words 2>/dev/null <"$directory/cmdline" || continue
    if [[ ${words[0]:-} == *containerd-shim-runc-v2 && " ${words[*]} " == *" -address $CONTAINERD_SOCKET "* ]]; then
      echo "${directory#/proc/}"
    fi
  done
}

# First processes of the containers: the shims' children. When one of them
# ends, the kernel ends all others of its pid namespace.
containers() {
  local shim
  for shim in $(shims); do
    cat "/proc/$shim/task/"*/children 2>/dev/null || true
  done
}

signal() { # SIGNAL PID...
  local name=$1
  shift
  [[ $# -eq 0 ]] || kill "-$name" "$@" 2>/dev/null || true
}

end_pods() {
  local -a found
  read -ra found <<<"$(shims | tr '\n' ' ')"
  echo "stopping ${#found[@]} pods"
  read -ra found <<<"$(containers | tr '\n' ' ')"
  signal TERM "${found[@]}"
  for ((i = 0; i < 50; i++)); do
    [[ -n $(containers) ]] || break
    sleep 0.1
  done
  for ((i = 0; i < 20; i++)); do
    read -ra found <<<"$(containers | tr '\n' ' ')"
    [[ ${#found[@]} -gt 0 ]] || break
    signal KILL "${found[@]}"
    sleep 0.1
  done
  read -ra found <<<"$(shims | tr '\n' ' ')"
  signal KILL "${found[@]}"
}

unmount_all() {
  local target
  # The last mounted first. Octal escapes stand for blanks in a path.
  while read -r target; do
    umount --lazy "$(printf '%b' "$target")" 2>/dev/null || true
  done < <(awk -v a="$CLUSTER/kubelet" -v b="$RUNTIME/" \
    '$2 == a || index($2, a "/") == 1 || index($2, b) == 1 { print $2 }' /proc/mounts | tac)
}

# The kubelet first: it would start again what is ended here.
for name in kubelet kube-scheduler kube-controller-manager networkpolicy provisioner coredns kube-proxy; do
  stop "$name"
done
end_pods
stop containerd
stop kube-apiserver 20
stop etcd
stop registry
stop dockerd 20
unmount_all
remove_network
# Groups of ended pods; a busy one would refuse and stay.
find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null || true
rm -rf "$RUNTIME"
if [[ -n $purge ]]; then
  rm -rf "$CLUSTER"
  echo "The cluster's state is removed."
fi
echo "The cluster is down."

#!/usr/bin/env bash
# Prints what of the cluster runs. Exit code 0: all of it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
# shellcheck source=processes.sh
source "$CLUSTER_SOURCE/processes.sh"
# shellcheck source=docker.sh
source "$CLUSTER_SOURCE/docker.sh"

missing=0
report() { # NAME ANSWER
  printf '%-26s %s\n' "$1" "$2"
}

for name in etcd kube-apiserver kube-controller-manager kube-scheduler \
  containerd kubelet kube-proxy coredns provisioner networkpolicy; do
  if pid=$(pid_of "$name"); then
    report "$name" "pid $pid"
  else
    report "$name" "not running"
    missing=1
  fi
done

# These two may have been there before the cluster and are then left alone.
for name in dockerd registry; do
  probe=docker_answers
  [[ $name == dockerd ]] || probe=registry_answers
  if ! "$probe" >/dev/null 2>&1; then
    report "$name" "does not answer"
    missing=1
  elif pid=$(pid_of "$name"); then
    report "$name" "pid $pid"
  else
    report "$name" "answers; not started by up.sh"
  fi
done

if [[ $missing -eq 0 ]]; then
  echo
  kubectl get nodes
  kubectl get pods --all-namespaces
fi
exit "$missing"

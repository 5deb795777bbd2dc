#!/usr/bin/env bash
# Brings up a real Kubernetes cluster of one node on this machine, without
# downloading any image or binary. Run it again at any time: what runs is left
# alone, what has died is started anew.
#
#   hack/cluster/up.sh && source hack/cluster/env.sh && kubectl get nodes
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
for part in processes certs network docker controlplane node addons; do
  # shellcheck source=/dev/null
  source "$CLUSTER_SOURCE/$part.sh"
done

if [[ $EUID -ne 0 ]]; then
  echo "up.sh: kubelet, containerd and iptables need root; run: sudo --preserve-env=PATH,HOME,ISOCENTER_CACHE $0" >&2
  exit 1
fi

mkdir -p "$LOGS" "$PIDS"
exec 9>"$CACHE/cluster.lock"
if ! flock -n 9; then
  echo "waiting for another up.sh or down.sh ..."
  flock 9
fi

OWN=(etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy coredns provisioner networkpolicy)

all_up() {
  local name
  for name in "${OWN[@]}"; do
    alive "$name" || return 1
  done
  docker_answers >/dev/null 2>&1 && registry_answers >/dev/null 2>&1 && node_ready 2>/dev/null
}

summary() {
  echo "The cluster is up. To use it: source hack/cluster/env.sh   (context $CONTEXT)"
}

if all_up; then
  summary
  exit 0
fi

"$CLUSTER_SOURCE/packages.sh"
"$CLUSTER_SOURCE/tools.sh" kubernetes etcd coredns provisioner networkpolicy pause helm
progress "programs present"

make_certificates
# Before dockerd: its first start fails on some machines without forwarding.
prepare_network
start_docker
start_registry
# Started before it is needed: both take a few seconds to get going.
start_etcd
start_apiserver
if alive dockerd; then
  until_true 60 "dockerd answers" dockerd docker_answers
fi
if alive registry; then
  until_true 30 "registry answers" registry registry_answers
fi
start_containerd
start_controlplane
start_kubelet
start_kube_proxy
start_dns
start_provisioner
start_networkpolicy

until_true 30 "addon objects applied" kube-apiserver apply_addon_objects
until_true 60 "DNS answers" coredns dns_ready
until_true 90 "node $NODE_NAME Ready" kubelet node_ready
until_true 30 "network policies enforced" networkpolicy networkpolicy_ready
# A pod needs its namespace's service account; the controller makes it.
until_true 30 "default service account" kube-controller-manager kubectl get serviceaccount default
# A rule of dockerd's may have come since.
prepare_network
summary

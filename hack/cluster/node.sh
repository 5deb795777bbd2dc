#!/usr/bin/env bash
# The node: a containerd of its own, kubelet, kube-proxy. Sourced by up.sh.

ctr_here() { ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io "$@"; }

start_containerd() {
  local directory=$CLUSTER/containerd
  mkdir -p "$directory/registries/localhost:$REGISTRY_PORT" "$RUNTIME"
  cat >"$directory/registries/localhost:$REGISTRY_PORT/hosts.toml" <<TOML
server = "http://127.0.0.1:$REGISTRY_PORT"
[host."http://127.0.0.1:$REGISTRY_PORT"]
  capabilities = ["pull", "resolve"]
TOML
  # restrict_oom_score_adj: where the machine withholds CAP_SYS_RESOURCE a
  # negative score cannot be set, and no sandbox would start.
  # netns_mounts_under_state_dir: down.sh finds all mounts in one place.
  cat >"$directory/config.toml" <<TOML
version = 2
root = "$directory/root"
state = "$RUNTIME/containerd"
[grpc]
  address = "$CONTAINERD_SOCKET"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$CLUSTER/cni/conf"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$directory/registries"
TOML
  start containerd containerd --config "$directory/config.toml"
  until_true 30 "containerd answers" containerd ctr_here version
  if [[ -z $(ctr_here images list -q "name==$PAUSE_IMAGE") ]]; then
    ctr_here images import "$(make_pause_archive)" >/dev/null
  fi
}

# With cgroup v1 every controller that is mounted has to hold the processes of
# a pod; "failCgroupV1: false" lets this kubelet run there all the same.
start_kubelet() {
  mkdir -p "$CLUSTER/kubelet"
  cat >"$CLUSTER/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_ADDRESS
readOnlyPort: 0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $PKI/ca.crt}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://$CONTAINERD_SOCKET
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
clusterDNS: [$DNS_SERVICE_ADDRESS]
serializeImagePulls: false
registryPullQPS: 0
# Images cannot be pulled again from afar, and a full disk is the developer's
# to clear: nothing is collected, and pods are evicted only at the very end.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard:
  memory.available: 100Mi
  nodefs.available: 1%
  imagefs.available: 1%
YAML
  start kubelet "$BIN/kubelet" --config "$CLUSTER/kubelet.yaml" \
    --kubeconfig "$PKI/kubelet.kubeconfig" --root-dir "$CLUSTER/kubelet" --cert-dir "$PKI" \
    --hostname-override "$NODE_NAME" --node-ip "$NODE_ADDRESS"
}

start_kube_proxy() {
  # Conntrack limits belong to the machine and often cannot be set.
  start kube-proxy "$BIN/kube-proxy" --kubeconfig "$PKI/proxy.kubeconfig" \
    --hostname-override "$NODE_NAME" --proxy-mode iptables --cluster-cidr "$POD_CIDR" \
    --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0
}

# A node counts as Ready until its heartbeat has been missing for a while; only
# one that is younger than the kubelet comes from the kubelet that runs now.
node_ready() {
  local status heartbeat
  read -r status heartbeat < <(kubectl get node "$NODE_NAME" -o \
    'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}')
  [[ $status == True && ! $heartbeat < $(date -u -r "$PIDS/kubelet.pid" +%FT%TZ) ]]
}

#!/usr/bin/env bash
# Where the local cluster keeps its things and which addresses it uses.
# Sourced by every script here, and by whoever wants to talk to the cluster:
#
#   source hack/cluster/env.sh && kubectl get nodes
#
# The names are read by the scripts that source this file.
# shellcheck disable=SC2034

CLUSTER_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPOSITORY=$(cd "$CLUSTER_SOURCE/../.." && pwd)

# Everything that is expensive to make lives outside the checkout, so that
# `git clean` and a second checkout do not cost ten minutes of compiling.
CACHE=${ISOCENTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/isocenter}
BIN=$CACHE/bin            # stable names: kubectl, helm, ...
BUILDS=$CACHE/builds      # <tool>/<version>-<hash of the build's inputs>/
IMAGES=$CACHE/images      # archives of images that no registry offers here
CLUSTER=$CACHE/cluster    # state of the cluster, removed by `down.sh --purge`
LOGS=$CLUSTER/logs
PIDS=$CLUSTER/run
PKI=$CLUSTER/pki

# Sockets and mounts stay out of the cache: a socket's path may have no more
# than 107 characters, and a cache directory may be anywhere.
RUNTIME=/run/isocenter
CONTAINERD_SOCKET=$RUNTIME/containerd.sock

CONTEXT=isocenter-local
NODE_NAME=isocenter
# An address of the cluster's own, on the loopback device. The machine's
# address may change with every restart; certificates and stored objects that
# name this one remain valid.
NODE_ADDRESS=10.245.0.1
API_PORT=6443
ETCD_PORT=12379
ETCD_PEER_PORT=12380
DNS_PORT=10053            # on the node; inside the cluster it is 53
POD_CIDR=10.244.0.0/24
SERVICE_CIDR=10.96.0.0/16
API_SERVICE_ADDRESS=10.96.0.1
DNS_SERVICE_ADDRESS=10.96.0.10

REGISTRY_PORT=${ISOCENTER_REGISTRY_PORT:-5000}
PAUSE_IMAGE=isocenter.local/pause:v1

export KUBECONFIG=$CLUSTER/kubeconfig
case ":$PATH:" in
  *":$BIN:"*) ;;
  *) export PATH="$BIN:$PATH" ;;
esac

# Programs that obey a proxy setting must not send the cluster's own traffic
# there.
if [[ -n "${HTTPS_PROXY:-${https_proxy:-${HTTP_PROXY:-${http_proxy:-}}}}" ]]; then
  NO_PROXY="${NO_PROXY:+$NO_PROXY,}localhost,127.0.0.1,$NODE_ADDRESS,$POD_CIDR,$SERVICE_CIDR,.svc,.cluster.local"
  export NO_PROXY no_proxy="$NO_PROXY"
fi

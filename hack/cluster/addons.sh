#!/usr/bin/env bash
# DNS, storage and network policies. All run on the node itself and reach the
# cluster like any other client; the cluster knows them by the objects below. Sourced by up.sh.

addon_objects() {
  cat <<YAML
# CoreDNS listens on the node's address, so its Service has no selector and an
# EndpointSlice made by hand.
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: $DNS_SERVICE_ADDRESS
  ports:
    - {name: dns, port: 53, protocol: UDP}
    - {name: dns-tcp, port: 53, protocol: TCP}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kube-dns-node
  namespace: kube-system
  labels: {kubernetes.io/service-name: kube-dns}
addressType: IPv4
endpoints:
  - addresses: ["$NODE_ADDRESS"]
    conditions: {ready: true}
ports:
  - {name: dns, port: $DNS_PORT, protocol: UDP}
  - {name: dns-tcp, port: $DNS_PORT, protocol: TCP}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "isocenter:coredns"}
rules:
  - {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "isocenter:coredns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "isocenter:coredns"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "isocenter:coredns"}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: isocenter.local/directory
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "isocenter:provisioner"}
rules:
  - {apiGroups: [""], resources: [persistentvolumes], verbs: [get, list, watch, create, update, patch, delete]}
  - {apiGroups: [""], resources: [persistentvolumeclaims], verbs: [get, list, watch, update, patch]}
  - {apiGroups: [""], resources: [nodes], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [events], verbs: [create, update, patch]}
  - {apiGroups: [storage.k8s.io], resources: [storageclasses], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "isocenter:provisioner"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "isocenter:provisioner"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "isocenter:provisioner"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "isocenter:networkpolicy"}
rules:
  - {apiGroups: [""], resources: [pods, namespaces], verbs: [list, watch]}
  - {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "isocenter:networkpolicy"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "isocenter:networkpolicy"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "isocenter:networkpolicy"}]
YAML
}

apply_addon_objects() { addon_objects | kubectl apply -f - >"$LOGS/addons.log" 2>&1; }

start_dns() {
  cat >"$CLUSTER/Corefile" <<COREFILE
.:$DNS_PORT {
  bind $NODE_ADDRESS
  errors
  health 127.0.0.1:10054
  cache 5
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig $PKI/coredns.kubeconfig $CONTEXT
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 5
  }
  loop
  forward . /etc/resolv.conf
}
COREFILE
  start coredns "$BIN/coredns" -conf "$CLUSTER/Corefile"
}

start_provisioner() {
  mkdir -p "$CLUSTER/volumes"
  start provisioner "$BIN/provisioner" --kubeconfig "$PKI/provisioner.kubeconfig" \
    --name isocenter.local/directory --root "$CLUSTER/volumes"
}

start_networkpolicy() {
  start networkpolicy "$BIN/networkpolicy" --kubeconfig "$PKI/networkpolicy.kubeconfig" \
    --bridge cni0 --dns "$NODE_ADDRESS:$DNS_PORT"
}

# Its table is there once it has its lists.
networkpolicy_ready() { nft list table ip isocenter-networkpolicy; }

# A question about a cluster name, answered only after CoreDNS has its lists;
# until then its health says nothing of use.
dns_ready() {
  python3 - "$NODE_ADDRESS" "$DNS_PORT" <<'PYTHON'
import socket, struct, sys

name = b"".join(bytes([len(part)]) + part for part in b"kubernetes.default.svc.cluster.local".split(b".")) + b"\0"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(1)
    s.sendto(struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1), (sys.argv[1], int(sys.argv[2])))
    answers = struct.unpack(">6H", s.recv(512)[:12])[3]
sys.exit(0 if answers else 1)
PYTHON
}

#!/usr/bin/env bash
# What the node needs from the machine's network. Sourced by up.sh and
# down.sh; everything here may be run any number of times.

# Each rule as "table chain arguments...".
network_rules() {
  # dockerd sets the FORWARD chain's policy to DROP, which cuts pods off from
  # each other. Rules of our own hold whichever of the two starts first.
  echo "filter FORWARD -i cni0 -m comment --comment isocenter -j ACCEPT"
  echo "filter FORWARD -o cni0 -m comment --comment isocenter -j ACCEPT"
  # Pods reach the outside under the machine's address. One rule here instead
  # of the bridge plugin's chain per pod, of which a killed pod leaves rubbish.
  echo "nat POSTROUTING -s $POD_CIDR ! -d 10.244.0.0/15 -m comment --comment isocenter -j MASQUERADE"
}

each_rule() { # COMMAND: calls COMMAND with table, chain and the rule's words
  local table chain rule
  while read -r table chain rule; do
    # The rule's words are to be split.
    # shellcheck disable=SC2086
    "$1" "$table" "$chain" $rule
  done < <(network_rules)
}

add_rule() {
  local table=$1 chain=$2
  shift 2
  iptables -w -t "$table" -C "$chain" "$@" 2>/dev/null || iptables -w -t "$table" -I "$chain" "$@"
}

remove_rule() {
  local table=$1 chain=$2
  shift 2
  while iptables -w -t "$table" -D "$chain" "$@" 2>/dev/null; do :; done
}

prepare_network() {
  echo 1 >/proc/sys/net/ipv4/ip_forward
  # Two pods on the bridge that talk through a Service: the answer has to pass
  # through iptables as well, or it arrives from an address nobody asked.
  modprobe br_netfilter 2>/dev/null || true
  if [[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]]; then
    echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
  else
    echo "warning: no br_netfilter; pods may not reach pods through Services" >&2
  fi
  ip address replace "$NODE_ADDRESS/32" dev lo
  each_rule add_rule

  mkdir -p "$CLUSTER/cni/conf"
  cat >"$CLUSTER/cni/conf/10-isocenter.conflist" <<JSON
{
  "cniVersion": "0.4.0",
  "name": "isocenter",
  "plugins": [
    {
      "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
      "ipam": {
        "type": "host-local", "dataDir": "$CLUSTER/cni/leases",
        "ranges": [[{"subnet": "$POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
JSON
}

# The chains of kube-proxy, of the kubelet and of the portmap plugin. What is
# not theirs is written back as it was, counters included.
remove_kubernetes_rules() {
  local tables before after
  for tables in iptables ip6tables; do
    before=$("$tables-save" -c 2>/dev/null) || continue
    after=$(grep -vE '(^:|-A |-j )(KUBE|CNI)-' <<<"$before" || true)
    [[ $before == "$after" ]] || "$tables-restore" -w -c <<<"$after"
  done
}

remove_network() {
  each_rule remove_rule
  remove_kubernetes_rules
  nft delete table ip isocenter-networkpolicy 2>/dev/null || true
  ip link delete cni0 2>/dev/null || true
  ip address delete "$NODE_ADDRESS/32" dev lo 2>/dev/null || true
  rm -rf "$CLUSTER/cni/leases"
}

package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	v1 "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const table = "isocenter-networkpolicy"

// chains holds, for each isolated pod, what it may receive or send. What more
// than one policy allows is allowed; a rule returns from the pod's chain, and
// what no rule lets return is dropped at its end.
type chains map[string]map[string]bool

func (c chains) isolate(pod endpoint) map[string]bool {
	if c[pod.address] == nil {
		c[pod.address] = map[string]bool{}
	}
	return c[pod.address]
}

// portMatches are nftables' matches for the ports of a rule at a destination;
// nil is an address outside the cluster, which has no named ports.
func portMatches(ports []networking.NetworkPolicyPort, destination *endpoint) []string {
	if len(ports) == 0 {
		return []string{""}
	}
	var found []string
	for _, port := range ports {
		protocol := v1.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		name := strings.ToLower(string(protocol))
		switch {
		case protocol == v1.ProtocolSCTP:
		case port.Port == nil:
			found = append(found, "meta l4proto "+name)
		case port.Port.Type == intstr.String:
			if destination != nil {
				for _, number := range destination.named[fmt.Sprintf("%s/%s", protocol, port.Port.StrVal)] {
					found = append(found, fmt.Sprintf("%s dport %d", name, number))
				}
			}
		case port.EndPort != nil:
			found = append(found, fmt.Sprintf("%s dport %d-%d", name, port.Port.IntVal, *port.EndPort))
		default:
			number := port.Port.IntVal
			if destination != nil && destination.moved[number] != 0 {
				number = destination.moved[number]
			}
			found = append(found, fmt.Sprintf("%s dport %d", name, number))
		}
	}
	return found
}

func blockMatch(side string, block *networking.IPBlock) string {
	if strings.Contains(block.CIDR, ":") {
		return ""
	}
	match := fmt.Sprintf("ip %s %s", side, block.CIDR)
	var except []string
	for _, cidr := range block.Except {
		if !strings.Contains(cidr, ":") {
			except = append(except, cidr)
		}
	}
	if len(except) > 0 {
		match += fmt.Sprintf(" ip %s != { %s }", side, strings.Join(except, ", "))
	}
	return match
}

func add(rules map[string]bool, matches ...string) {
	rules[strings.Join(strings.Fields(strings.Join(matches, " ")+" return"), " ")] = true
}

func (s state) ingress(policy *networking.NetworkPolicy, pod endpoint, rules map[string]bool) {
	for _, rule := range policy.Spec.Ingress {
		for _, ports := range portMatches(rule.Ports, &pod) {
			if len(rule.From) == 0 {
				add(rules, ports)
			}
			for _, peer := range rule.From {
				if peer.IPBlock != nil {
					if match := blockMatch("saddr", peer.IPBlock); match != "" {
						add(rules, match, ports)
					}
					continue
				}
				for _, source := range s.peers(policy, peer) {
					add(rules, "ip saddr "+source.address, ports)
				}
			}
		}
	}
}

func (s state) egress(policy *networking.NetworkPolicy, rules map[string]bool) {
	for _, rule := range policy.Spec.Egress {
		if len(rule.To) == 0 {
			general := portMatches(rule.Ports, nil)
			for _, ports := range general {
				add(rules, ports)
			}
			// Named and moved ports are known for pods only.
			for i := range s.endpoints {
				for _, ports := range portMatches(rule.Ports, &s.endpoints[i]) {
					if !slices.Contains(general, ports) {
						add(rules, "ip daddr "+s.endpoints[i].address, ports)
					}
				}
			}
		}
		for _, peer := range rule.To {
			if peer.IPBlock != nil {
				for _, ports := range portMatches(rule.Ports, nil) {
					if match := blockMatch("daddr", peer.IPBlock); match != "" {
						add(rules, match, ports)
					}
				}
				continue
			}
			for _, target := range s.peers(policy, peer) {
				for _, ports := range portMatches(rule.Ports, &target) {
					add(rules, "ip daddr "+target.address, ports)
				}
			}
		}
	}
}

func isolates(policy *networking.NetworkPolicy, direction networking.PolicyType) bool {
	return slices.Contains(policy.Spec.PolicyTypes, direction)
}

func write(out *strings.Builder, direction string, found chains) {
	addresses := make([]string, 0, len(found))
	for address := range found {
		addresses = append(addresses, address)
	}
	sort.Strings(addresses)
	for _, address := range addresses {
		rules := make([]string, 0, len(found[address]))
		for rule := range found[address] {
			rules = append(rules, rule)
		}
		sort.Strings(rules)
		fmt.Fprintf(out, "  chain %s-%s {\n", direction, address)
		for _, rule := range rules {
			fmt.Fprintf(out, "    %s\n", rule)
		}
		out.WriteString("    counter drop\n  }\n")
	}
	side := map[string]string{"ingress": "daddr", "egress": "saddr"}[direction]
	fmt.Fprintf(out, "  chain %s {\n", direction)
	for _, address := range addresses {
		fmt.Fprintf(out, "    ip %s %s jump %s-%s\n", side, address, direction, address)
	}
	out.WriteString("  }\n")
}

// render gives the whole table as a script for nft, which takes all of it or
// nothing. A drop is final in whatever table it is; letting a packet through
// here leaves it to the others.
//
// Packets from the node to its pods pass no hook below, so the kubelet's
// probes always arrive, as the API demands.
func render(bridge string, s state) string {
	receiving, sending := chains{}, chains{}
	for _, policy := range s.policies {
		for _, pod := range s.selected(policy) {
			if isolates(policy, networking.PolicyTypeIngress) {
				s.ingress(policy, pod, receiving.isolate(pod))
			}
			if isolates(policy, networking.PolicyTypeEgress) {
				s.egress(policy, sending.isolate(pod))
			}
		}
	}
	var out strings.Builder
	// Declared first, because what does not exist can't be deleted.
	fmt.Fprintf(&out, "table ip %s\ndelete table ip %s\ntable ip %s {\n", table, table, table)
	write(&out, "ingress", receiving)
	write(&out, "egress", sending)
	fmt.Fprintf(&out, `  chain forward {
    type filter hook forward priority -10
    ct state established,related accept
    iifname %q jump egress
    oifname %q jump ingress
  }
  chain input {
    type filter hook input priority -10
    ct state established,related accept
    iifname %q jump egress
  }
}
`, bridge, bridge, bridge)
	return out.String()
}

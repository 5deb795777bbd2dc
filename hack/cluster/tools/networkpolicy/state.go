package main

import (
	"fmt"
	"net"
	"sort"
	"strconv"

	v1 "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// endpoint is a pod as policies see it.
type endpoint struct {
	namespace, address string
	labels             labels.Set
	named              map[string][]int32 // container ports by protocol and name, as in "TCP/http"
	moved              map[int32]int32    // ports that are reached under another number
}

type state struct {
	endpoints  []endpoint
	namespaces map[string]labels.Set
	policies   []*networking.NetworkPolicy
}

// dnsOnNode describes the DNS server that runs on the node as the pod that it
// is in other clusters.
func dnsOnNode(place string) (*endpoint, error) {
	if place == "" {
		return nil, nil
	}
	host, port, err := net.SplitHostPort(place)
	if err != nil {
		return nil, fmt.Errorf("--dns: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("--dns: %w", err)
	}
	return &endpoint{
		namespace: metav1.NamespaceSystem,
		address:   host,
		labels:    labels.Set{"k8s-app": "kube-dns"},
		named:     map[string][]int32{"UDP/dns": {int32(number)}, "TCP/dns-tcp": {int32(number)}},
		moved:     map[int32]int32{53: int32(number)},
	}, nil
}

// newState keeps what rules can be made of, in an order that does not change.
func newState(pods []*v1.Pod, namespaces []*v1.Namespace, policies []*networking.NetworkPolicy, dns *endpoint) state {
	s := state{namespaces: map[string]labels.Set{}}
	for _, namespace := range namespaces {
		s.namespaces[namespace.Name] = namespace.Labels
	}
	for _, pod := range pods {
		// An ended pod's address may be another's by now.
		ended := pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed
		if ended || pod.Spec.HostNetwork || net.ParseIP(pod.Status.PodIP).To4() == nil {
			continue
		}
		named := map[string][]int32{}
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				key := fmt.Sprintf("%s/%s", port.Protocol, port.Name)
				named[key] = append(named[key], port.ContainerPort)
			}
		}
		s.endpoints = append(s.endpoints, endpoint{
			namespace: pod.Namespace, address: pod.Status.PodIP, labels: pod.Labels, named: named,
		})
	}
	if dns != nil {
		s.endpoints = append(s.endpoints, *dns)
	}
	sort.Slice(s.endpoints, func(a, b int) bool { return s.endpoints[a].address < s.endpoints[b].address })
	s.policies = append(s.policies, policies...)
	sort.Slice(s.policies, func(a, b int) bool {
		x, y := s.policies[a], s.policies[b]
		return x.Namespace < y.Namespace || x.Namespace == y.Namespace && x.Name < y.Name
	})
	return s
}

func matches(selector *metav1.LabelSelector, set labels.Set) bool {
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	// The API server has refused selectors that are wrong.
	return err == nil && compiled.Matches(set)
}

// selected are the pods that a policy isolates.
func (s state) selected(policy *networking.NetworkPolicy) []endpoint {
	var found []endpoint
	for _, e := range s.endpoints {
		if e.namespace == policy.Namespace && e.moved == nil && matches(&policy.Spec.PodSelector, e.labels) {
			found = append(found, e)
		}
	}
	return found
}

// peers are the pods that an entry of from or to names.
func (s state) peers(policy *networking.NetworkPolicy, peer networking.NetworkPolicyPeer) []endpoint {
	var found []endpoint
	for _, e := range s.endpoints {
		inside := e.namespace == policy.Namespace
		if peer.NamespaceSelector != nil {
			inside = matches(peer.NamespaceSelector, s.namespaces[e.namespace])
		}
		if inside && (peer.PodSelector == nil || matches(peer.PodSelector, e.labels)) {
			found = append(found, e)
		}
	}
	return found
}

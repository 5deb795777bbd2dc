// Command networkpolicy enforces the local cluster's NetworkPolicies. Network
// plugins do that as a rule; the bridge plugin that this cluster uses does not.
//
// It watches policies, pods and namespaces, writes one table of rules for
// nftables and replaces it whole whenever something changed. Traffic between
// two pods of the bridge passes these rules because of br_netfilter.
//
// Left out, since nothing here has it: IPv6 and SCTP.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// Changes come in bursts: a rollout is a dozen of them.
const settle = 50 * time.Millisecond

// How long to wait before trying again what nft refused.
const again = 5 * time.Second

func install(rules string) error {
	nft := exec.Command("nft", "-f", "-")
	nft.Stdin = strings.NewReader(rules)
	var said bytes.Buffer
	nft.Stdout, nft.Stderr = &said, &said
	if err := nft.Run(); err != nil {
		return fmt.Errorf("nft: %w\n%s", err, said.String())
	}
	return nil
}

func run() error {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the cluster")
	bridge := flag.String("bridge", "cni0", "the device that all pods are behind")
	dns := flag.String("dns", "", "address and port of the DNS server on the node; policies see it as a pod of kube-system, k8s-app=kube-dns, port 53")
	flag.Parse()
	node, err := dnsOnNode(*dns)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	factory := informers.NewSharedInformerFactory(client, 0)
	pods, namespaces := factory.Core().V1().Pods(), factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	for kind, done := range factory.WaitForCacheSync(ctx.Done()) {
		if !done {
			return fmt.Errorf("no list of %v", kind)
		}
	}

	last := ""
	for {
		select {
		case <-ctx.Done():
			// The rules stay: a restart of this program opens nothing.
			return nil
		case <-changed:
		}
		time.Sleep(settle)
		podList, err1 := pods.Lister().List(labels.Everything())
		namespaceList, err2 := namespaces.Lister().List(labels.Everything())
		policyList, err3 := policies.Lister().List(labels.Everything())
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		rules := render(*bridge, newState(podList, namespaceList, policyList, node))
		if rules == last {
			continue
		}
		if err := install(rules); err != nil {
			fmt.Fprintln(os.Stderr, err)
			time.AfterFunc(again, notify)
			continue
		}
		last = rules
		fmt.Printf("%s %d policies, %d pods\n", time.Now().UTC().Format(time.RFC3339), len(policyList), len(podList))
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "networkpolicy:", err)
		os.Exit(1)
	}
}

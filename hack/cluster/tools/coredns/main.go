// Command coredns answers the local cluster's DNS. It holds only the plugins
// that the cluster's configuration names: the full set pulls in the client
// libraries of several clouds and takes minutes longer to compile.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/reload"
)

// A query passes through the plugins in this order, whatever the order in the
// configuration file.
func init() {
	dnsserver.Directives = []string{
		"reload", "bind", "health", "errors", "log",
		"cache", "kubernetes", "loop", "forward",
	}
}

func main() {
	coremain.Run()
}

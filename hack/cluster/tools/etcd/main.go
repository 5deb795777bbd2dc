// Command etcd is the store behind the local cluster's API server. Built from
// the same module as Kubernetes so that shared dependencies compile once.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}

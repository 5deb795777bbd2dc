// Command provisioner gives every PersistentVolumeClaim of the local cluster a
// directory of its own. The volumes are of type "local", not "hostPath": the
// kubelet applies a pod's fsGroup to the former only, and without it a pod
// that runs as an ordinary user could not write to its volume.
//
// The cluster has one node and this program runs on it, so a directory made
// here is the node's; no helper pod and no image are needed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v10/controller"
)

type directories struct {
	root string
}

func (d directories) Provision(_ context.Context, o controller.ProvisionOptions) (*v1.PersistentVolume, controller.ProvisioningState, error) {
	claim := o.PVC
	if o.SelectedNode == nil {
		return nil, controller.ProvisioningFinished, errors.New("no node selected: the storage class must bind on first consumer")
	}
	if claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode != v1.PersistentVolumeFilesystem {
		return nil, controller.ProvisioningFinished, errors.New("only file system volumes are provided")
	}
	if claim.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, errors.New("claims with a selector are not provided for")
	}
	path := filepath.Join(d.root, o.PVName)
	// Chmod, because the umask takes bits away from what Mkdir is given.
	if err := errors.Join(os.MkdirAll(path, 0o777), os.Chmod(path, 0o777)); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	node := v1.NodeSelectorRequirement{
		Key:      v1.LabelHostname,
		Operator: v1.NodeSelectorOpIn,
		Values:   []string{o.SelectedNode.Labels[v1.LabelHostname]},
	}
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: v1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   claim.Spec.AccessModes,
			Capacity:                      v1.ResourceList{v1.ResourceStorage: claim.Spec.Resources.Requests[v1.ResourceStorage]},
			PersistentVolumeSource:        v1.PersistentVolumeSource{Local: &v1.LocalVolumeSource{Path: path}},
			NodeAffinity: &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{
				NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchExpressions: []v1.NodeSelectorRequirement{node}}},
			}},
		},
	}, controller.ProvisioningFinished, nil
}

func (d directories) Delete(_ context.Context, volume *v1.PersistentVolume) error {
	// The path is derived from the name, never taken from the object: whoever
	// may edit a PersistentVolume must not choose what is deleted here.
	if volume.Spec.Local == nil || volume.Spec.Local.Path != filepath.Join(d.root, volume.Name) {
		return &controller.IgnoredError{Reason: "not a directory of this provisioner"}
	}
	return os.RemoveAll(filepath.Join(d.root, volume.Name))
}

func run() error {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the cluster")
	root := flag.String("root", "", "absolute path of the directory that holds the volumes")
	name := flag.String("name", "", "the provisioner's name in storage classes")
	flag.Parse()
	if !filepath.IsAbs(*root) || *name == "" {
		return errors.New("--root (absolute) and --name are required")
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
	controller.NewProvisionController(
		klog.FromContext(ctx), client, *name, directories{root: *root},
		controller.LeaderElection(false),
		controller.FailedProvisionThreshold(0), // retry for ever
		controller.FailedDeleteThreshold(0),
		controller.ResyncPeriod(time.Minute),
	).Run(ctx)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "provisioner:", err)
		os.Exit(1)
	}
}

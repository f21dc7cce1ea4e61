// A Kubernetes control plane, the etcd it keeps its objects in, and what a kubelet says of the devices
// of its pods, as one program for tests.
//
// It is what its name says, as busybox is: called as kube-apiserver, kube-controller-manager,
// kube-scheduler, etcd or pod-resources, or with one of these names as its first argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

var commands = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
}

func main() {
	name := filepath.Base(os.Args[0])
	if _, known := commands[name]; !known && name != "etcd" && name != "pod-resources" && len(os.Args) > 1 {
		name = os.Args[1]
		os.Args = os.Args[1:]
	}
	if name == "etcd" {
		etcdmain.Main(os.Args)
		return
	}
	if name == "pod-resources" {
		if len(os.Args) != 3 {
			fmt.Fprintln(os.Stderr, "pod-resources SOCKET FILE")
			os.Exit(2)
		}
		if err := servePodResources(os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	command, known := commands[name]
	if !known {
		fmt.Fprintf(os.Stderr, "%s: must be kube-apiserver, kube-controller-manager, kube-scheduler, etcd or pod-resources\n", name)
		os.Exit(2)
	}
	os.Exit(cli.Run(command()))
}

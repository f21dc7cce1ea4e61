package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	api "k8s.io/kubelet/pkg/apis/podresources/v1"
	limits "k8s.io/kubernetes/pkg/kubelet/apis/grpc"
	kubelet "k8s.io/kubernetes/pkg/kubelet/apis/podresources"
)

// A node, as a file of JSON says: its pods, each with its containers and their devices.
type node struct{ file string }

type pod struct {
	Name       string
	Namespace  string
	UID        string
	Containers map[string]map[string][]string // devices by resource, by name of the container
}

func (n node) pods() (pods []pod) {
	text, err := os.ReadFile(n.file)
	if err == nil {
		err = json.Unmarshal(text, &pods)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return pods
}

func (n node) GetPods() (known []*core.Pod) {
	for _, one := range n.pods() {
		found := &core.Pod{ObjectMeta: meta.ObjectMeta{
			Name: one.Name, Namespace: one.Namespace, UID: types.UID(one.UID),
		}}
		for name := range one.Containers {
			found.Spec.Containers = append(found.Spec.Containers, core.Container{Name: name})
		}
		known = append(known, found)
	}
	return known
}

func (n node) GetActivePods() []*core.Pod { return n.GetPods() }

func (n node) GetPodByName(namespace, name string) (*core.Pod, bool) {
	for _, one := range n.GetPods() {
		if one.Namespace == namespace && one.Name == name {
			return one, true
		}
	}
	return nil, false
}

func (n node) GetDevices(uid, container string) (devices []*api.ContainerDevices) {
	for _, one := range n.pods() {
		if one.UID != uid {
			continue
		}
		for resource, ids := range one.Containers[container] {
			for _, id := range ids { // one entry for each NUMA node, as of a real machine
				devices = append(devices, &api.ContainerDevices{
					ResourceName: resource,
					DeviceIds:    []string{id},
					Topology:     &api.TopologyInfo{Nodes: []*api.NUMANode{{ID: 0}}},
				})
			}
		}
	}
	return devices
}

func (n node) UpdateAllocatedDevices(klog.Logger)                        {}
func (n node) GetAllocatableDevices(klog.Logger) []*api.ContainerDevices { return nil }
func (n node) GetCPUs(*core.Pod, *core.Container) []int64                { return []int64{2, 3} }
func (n node) GetPodCPUs(string) []int64                                 { return nil }
func (n node) GetAllocatableCPUs() []int64                               { return nil }
func (n node) GetPodMemory(klog.Logger, string) []*api.ContainerMemory   { return nil }
func (n node) GetAllocatableMemory(klog.Logger) []*api.ContainerMemory   { return nil }
func (n node) GetMemory(klog.Logger, *core.Pod, *core.Container) []*api.ContainerMemory {
	return []*api.ContainerMemory{{MemoryType: "memory", Size: 1 << 33}}
}

func (n node) GetDynamicResources(klog.Logger, *core.Pod, *core.Container) []*api.DynamicResource {
	return nil
}

// Serve what the kubelet serves at its socket of pod resources, with its own server.
func servePodResources(socket, file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	told := node{file}
	server := grpc.NewServer(
		limits.WithRateLimiter(ctx, "podresources", kubelet.DefaultQPS, kubelet.DefaultBurstTokens))
	api.RegisterPodResourcesListerServer(server, kubelet.NewV1PodResourcesServer(ctx,
		kubelet.PodResourcesProviders{
			Pods: told, Devices: told, Cpus: told, Memory: told, DynamicResources: told,
		}))
	go func() { <-ctx.Done(); server.Stop() }()
	return server.Serve(listener)
}

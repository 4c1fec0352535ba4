//! Every program, the set of modules it comes from, and its package there.

macro_rules! tools {
    ($($variant:ident = $name:literal, $set:literal, $package:literal;)*) => {
        /// A program that can be built from `xtask/cluster-tools`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each variant is the program of the same name")]
        pub enum Tool { $($variant),* }

        impl Tool {
            /// Every program.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name of the program's file.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The folder under `xtask/cluster-tools` that pins it.
            #[must_use]
            pub fn set(self) -> &'static str {
                match self { $(Self::$variant => $set),* }
            }

            /// The Go package of its main function or, for `e2e.test`, of its tests.
            #[must_use]
            pub fn package(self) -> &'static str {
                match self { $(Self::$variant => $package),* }
            }
        }
    };
}

tools! {
    Kind = "kind", "kind", "sigs.k8s.io/kind";
    Etcd = "etcd", "etcd", "go.etcd.io/etcd/server/v3";
    Containerd = "containerd", "containerd", "github.com/containerd/containerd/v2/cmd/containerd";
    ContainerdShim = "containerd-shim-runc-v2", "containerd", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2";
    Ctr = "ctr", "containerd", "github.com/containerd/containerd/v2/cmd/ctr";
    HostLocal = "host-local", "cni", "github.com/containernetworking/plugins/plugins/ipam/host-local";
    Bridge = "bridge", "cni", "github.com/containernetworking/plugins/plugins/main/bridge";
    Loopback = "loopback", "cni", "github.com/containernetworking/plugins/plugins/main/loopback";
    PointToPoint = "ptp", "cni", "github.com/containernetworking/plugins/plugins/main/ptp";
    PortMap = "portmap", "cni", "github.com/containernetworking/plugins/plugins/meta/portmap";
    Crictl = "crictl", "cri-tools", "sigs.k8s.io/cri-tools/cmd/crictl";
    KubeApiserver = "kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver";
    Kubectl = "kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl";
    Kubelet = "kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet";
    Kubeadm = "kubeadm", "kubernetes", "k8s.io/kubernetes/cmd/kubeadm";
    KubeControllerManager = "kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager";
    KubeScheduler = "kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler";
    KubeProxy = "kube-proxy", "kubernetes", "k8s.io/kubernetes/cmd/kube-proxy";
    CoreDns = "coredns", "coredns", "github.com/coredns/coredns";
    Agnhost = "agnhost", "kubernetes", "k8s.io/kubernetes/test/images/agnhost";
    EndToEndTest = "e2e.test", "kubernetes", "k8s.io/kubernetes/test/e2e";
}

impl Tool {
    /// Build tags that leave out what needs a C library.
    #[must_use]
    pub fn tags(self) -> &'static str {
        if self.set() == "containerd" { "no_btrfs no_zfs no_devmapper" } else { "" }
    }

    /// Whether the program is a compiled test (`go test -c`).
    #[must_use]
    pub fn is_test(self) -> bool {
        matches!(self, Self::EndToEndTest)
    }

    /// Everything the node image holds, itself or inside its container images.
    pub const NODE_IMAGE: &[Self] = &[
        Self::Etcd,
        Self::Containerd,
        Self::ContainerdShim,
        Self::Ctr,
        Self::HostLocal,
        Self::Bridge,
        Self::Loopback,
        Self::PointToPoint,
        Self::PortMap,
        Self::Crictl,
        Self::KubeApiserver,
        Self::Kubectl,
        Self::Kubelet,
        Self::Kubeadm,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::KubeProxy,
        Self::CoreDns,
    ];
}

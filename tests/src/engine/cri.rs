//! containerd's plugin for Kubernetes with the runtime's shim, in the part of the kubelet.
use std::fs;

use serde_json::{Value, json};

use super::Suite;
pub use super::containerd::IMAGE;
use super::containerd::{Containerd, SHIM, script};
use crate::Output;

/// containerd as a node of Kubernetes has it.
#[derive(Debug)]
pub struct Node(pub Containerd);

impl Node {
    /// Starts one, with the image.
    pub fn new(suite: Suite) -> Self {
        Self::with(suite, "")
    }

    /// Starts one whose pods have no pause container: the shim's Sandbox service makes them. containerd has that since 2.0.
    pub fn without_pause(suite: Suite) -> Self {
        Self::with(suite, "sandboxer = \"shim\"\n")
    }

    /// Starts one, with the image, and more in the settings of the runtime.
    fn with(suite: Suite, more: &str) -> Self {
        let node = Self(Containerd::configured(suite, |home| {
            let network = json!({
                "cniVersion": "0.4.0", "name": "pods", "plugins": [
                    {"type": "bridge", "bridge": "pods0", "isGateway": true, "ipam":
                     {"type": "host-local", "ranges": [[{"subnet": "10.99.0.0/24"}]]}},
                    {"type": "loopback"}]
            });
            fs::create_dir(home.join("cni")).expect("a new directory");
            fs::write(home.join("cni/pods.conflist"), network.to_string()).expect("a new file");
            let (runtime, sandbox) = match suite {
                Suite::Sid => (
                    "io.containerd.cri.v1.runtime",
                    format!(
                        "[plugins.\"io.containerd.cri.v1.images\".pinned_images]\nsandbox = \"{IMAGE}\"\n"
                    ),
                ),
                _ => (
                    "io.containerd.grpc.v1.cri",
                    format!("[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"{IMAGE}\"\n"),
                ),
            };
            let cri =
                if suite == Suite::Sid { format!("{sandbox}[plugins.\"{runtime}\"]\n") } else { sandbox };
            format!(
                "{cri}restrict_oom_score_adj = true\n\
                 [plugins.\"{runtime}\".cni]\nbin_dir = \"/usr/lib/cni\"\nconf_dir = \"{home}/cni\"\n\
                 [plugins.\"{runtime}\".containerd]\ndefault_runtime_name = \"orlop\"\n\
                 [plugins.\"{runtime}\".containerd.runtimes.orlop]\nruntime_type = \"{SHIM}\"\n{more}",
                home = home.display()
            )
        }));
        node.0.import_image("k8s.io");
        node
    }

    /// Calls a method of the runtime service.
    pub fn try_call(&self, method: &str, request: &Value) -> Output {
        let python = self.0.room.command("python3").arg(script()).arg(self.0.socket());
        python.arg(method).arg(request.to_string()).output()
    }

    /// Calls a method that must succeed; what it answered.
    #[track_caller]
    pub fn call(&self, method: &str, request: &Value) -> Value {
        serde_json::from_str(&self.try_call(method, request).ok().stdout).expect("JSON")
    }

    /// Calls a method that must succeed; the text in one field of the answer.
    #[track_caller]
    pub fn text(&self, method: &str, request: &Value, field: &str) -> String {
        self.call(method, request)[field].as_str().expect("a text").to_owned()
    }
}

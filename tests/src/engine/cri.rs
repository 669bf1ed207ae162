//! containerd's plugin for Kubernetes, with the runtime under test.

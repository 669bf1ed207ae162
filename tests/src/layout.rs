//! Small images, as OCI layouts: what `oci:DIR` names.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::busybox;

/// A layout in the making.
#[derive(Debug)]
pub struct Layout {
    path: PathBuf,
    layers: Vec<(Value, String)>,
}

impl Layout {
    /// A layout in a new directory, without layers.
    pub fn new(path: &Path) -> Self {
        fs::create_dir_all(path.join("blobs/sha256")).expect("a new directory");
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a new file");
        Self { path: path.to_owned(), layers: Vec::new() }
    }

    /// A layout with one image, `latest`, with a busybox in it; `config` is the image config's own `config`.
    pub fn busybox(path: &Path, config: &Value) -> String {
        let root = path.with_extension("root");
        fs::create_dir_all(root.join("etc")).expect("a new directory");
        busybox::install(&root);
        fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/:/bin/sh\n")
            .expect("a file");
        fs::write(root.join("etc/group"), "root:x:0:\nweb:x:34:\nmore:x:77:web\n").expect("a file");
        let mut layout = Self::new(path);
        layout.layer(&root);
        layout.finish(config)
    }

    /// Adds a layer with what is in a directory.
    pub fn layer(&mut self, tree: &Path) {
        let archive = self.path.join("layer.tar");
        let packed = Command::new("tar").arg("-C").arg(tree).arg("-cf").arg(&archive).arg(".").status();
        assert!(packed.expect("tar is there").success(), "tar of {}", tree.display());
        let bytes = fs::read(&archive).expect("the archive");
        fs::remove_file(&archive).expect("the archive");
        let (digest, size) = self.blob(&bytes);
        let kind = "application/vnd.oci.image.layer.v1.tar";
        self.layers.push((json!({"mediaType": kind, "digest": digest, "size": size}), digest));
    }

    /// Writes config, manifest and index; the image's reference.
    pub fn finish(&self, config: &Value) -> String {
        let diff_ids: Vec<&String> = self.layers.iter().map(|(_, digest)| digest).collect();
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let document = json!({"architecture": architecture, "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let (digest, size) = self.blob(document.to_string().as_bytes());
        let layers: Vec<&Value> = self.layers.iter().map(|(layer, _)| layer).collect();
        let kind = |kind: &str| format!("application/vnd.oci.image.{kind}.v1+json");
        let manifest = json!({"schemaVersion": 2, "mediaType": kind("manifest"),
            "config": {"mediaType": kind("config"), "digest": digest, "size": size}, "layers": layers});
        let (digest, size) = self.blob(manifest.to_string().as_bytes());
        let index = json!({"schemaVersion": 2, "manifests": [{"mediaType": kind("manifest"), "digest": digest,
            "size": size, "annotations": {"org.opencontainers.image.ref.name": "latest"}}]});
        fs::write(self.path.join("index.json"), index.to_string()).expect("a new file");
        format!("oci:{}:latest", self.path.display())
    }

    /// Adds a blob; its digest and size.
    fn blob(&self, bytes: &[u8]) -> (String, usize) {
        let new = self.path.join("new");
        fs::write(&new, bytes).expect("a new file");
        let out = Command::new("sha256sum").arg(&new).output().expect("coreutils are there");
        let digest = String::from_utf8_lossy(&out.stdout)[..64].to_owned();
        fs::rename(&new, self.path.join("blobs/sha256").join(&digest)).expect("a new file");
        (format!("sha256:{digest}"), bytes.len())
    }
}

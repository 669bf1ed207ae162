use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::tar::write::Writer;
use crate::tar::{Entry, Kind, Time};

const AMD64: &str = "linux/amd64";

/// A layout in a directory, or the members of an archive.
struct Made {
    dir: TempDir,
    members: Vec<(String, Kind, Vec<u8>)>,
}

impl Made {
    fn new() -> Self {
        Self { dir: TempDir::new().expect("a temporary directory"), members: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&mut self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("in a directory")).expect("a directory");
        fs::write(path, bytes).expect("a file");
        self.members.push((name.into(), Kind::File, bytes.into()));
    }

    fn blob(&mut self, kind: &str, value: &Value) -> Value {
        let bytes = value.to_string();
        let digest = Digest::of(bytes.as_bytes());
        self.write(&layout::blob(&digest), bytes.as_bytes());
        json!({"mediaType": format!("application/vnd.oci.image.{kind}.v1+json"), "digest": digest, "size": bytes.len()})
    }

    /// An image without layers that says what it is.
    fn image(&mut self, author: &str) -> Value {
        let config = json!({"author": author, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
        let config = self.blob("config", &config);
        self.blob("manifest", &json!({"schemaVersion": 2, "config": config, "layers": null}))
    }

    fn layout(&mut self, manifests: &[Value]) {
        self.write("index.json", json!({"schemaVersion": 2, "manifests": manifests}).to_string().as_bytes());
        self.write("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#);
    }

    /// All that was written, as an archive.
    fn archive(&self, name: &str) {
        let mut archive = Writer::new(Vec::new());
        for (path, kind, content) in &self.members {
            let link = if *kind == Kind::File { Vec::new() } else { content.clone() };
            let size = if *kind == Kind::File { content.len() as u64 } else { 0 };
            let entry = Entry {
                path: path.as_bytes().into(),
                kind: *kind,
                mode: 0o644,
                uid: 0,
                gid: 0,
                mtime: Time::default(),
                link,
                size,
                device: (0, 0),
                attributes: Vec::new(),
                pieces: None,
                offset: 0,
            };
            archive.entry(&entry).expect("memory");
            if size > 0 {
                archive.data(content).expect("memory");
            }
        }
        fs::write(self.path(name), archive.finish().expect("memory")).expect("a file");
    }

    fn author(&self, reference: &str, platform: &str) -> Result<String> {
        let reference = reference.replace("DIR", &self.dir.path().display().to_string());
        let source = Source::open(&reference.parse()?, &platform.parse()?)?;
        Ok(source.image.author)
    }
}

fn with(mut descriptor: Value, key: &str, value: Value) -> Value {
    descriptor[key] = value;
    descriptor
}

fn tagged(descriptor: Value, tag: &str) -> Value {
    with(descriptor, "annotations", json!({"org.opencontainers.image.ref.name": tag}))
}

fn platform(descriptor: Value, architecture: &str, variant: &str) -> Value {
    with(descriptor, "platform", json!({"os": "linux", "architecture": architecture, "variant": variant}))
}

#[test]
fn tags_and_places_choose_and_mistakes_say_what_there_is() {
    let mut made = Made::new();
    let (one, two) = (made.image("one"), made.image("two"));
    made.layout(&[tagged(one, "v1"), tagged(two, "registry:5000/two:2")]);
    made.archive("a.tar");
    for layout in ["oci:DIR", "oci-archive:DIR/a.tar"] {
        let author = |select: &str| made.author(&format!("{layout}{select}"), AMD64);
        assert_eq!(author(":v1").expect("tagged"), "one");
        assert_eq!(author(":registry:5000/two:2").expect("tagged"), "two");
        assert_eq!(author(":@1").expect("at this place"), "two");
        let refused = author("").expect_err("two of them").to_string();
        assert!(refused.contains("v1") && refused.contains("2 images"), "{refused}");
        let refused = author(":v3").expect_err("not there");
        assert!(refused.to_string().contains("v3") && refused.hint().is_some_and(|hint| hint.contains("v1")));
        assert!(author(":@2").is_err());
    }
}

#[test]
fn nested_indexes_lead_to_the_platform() {
    let mut made = Made::new();
    let images = ["amd64", "amd64/v3", "arm64"].map(|author| made.image(author));
    let [base, v3, arm] = images;
    let attestation = platform(made.image("attestation"), "unknown", "");
    let inner = json!({"manifests": [attestation, platform(arm, "arm64", "v8"), platform(base, "amd64", ""),
        platform(v3, "amd64", "v3")]});
    let inner = made.blob("index", &inner);
    let outer = made.blob("index", &json!({"manifests": [inner]}));
    made.layout(&[tagged(outer, "latest")]);
    for (wanted, found) in [
        ("linux/amd64", "amd64"),
        ("linux/amd64/v2", "amd64"),
        ("linux/amd64/v4", "amd64/v3"),
        ("linux/arm64", "arm64"),
    ] {
        assert_eq!(made.author("oci:DIR", wanted).expect("there is one"), found, "{wanted}");
    }
    let refused = made.author("oci:DIR:latest", "linux/riscv64").expect_err("there is none").to_string();
    assert!(refused.contains("linux/riscv64") && refused.contains("linux/arm64/v8"), "{refused}");
}

#[test]
fn what_is_no_image_is_refused() {
    let mut made = Made::new();
    assert!(made.author("oci:DIR", AMD64).is_err(), "no layout");
    let config = made.blob("config", &json!({}));
    let chart = with(config.clone(), "mediaType", "application/vnd.cncf.helm.config.v1+json".into());
    let helm = made.blob("manifest", &json!({"config": chart, "layers": []}));
    made.layout(std::slice::from_ref(&helm));
    assert!(made.author("oci:DIR", AMD64).expect_err("a chart").to_string().contains("no container image"));
    made.layout(&[with(helm, "mediaType", "text/plain".into())]);
    assert!(made.author("oci:DIR", AMD64).expect_err("a text").to_string().contains("text/plain"));
    let layer = with(config.clone(), "mediaType", "application/vnd.oci.image.layer.v1.tar+encrypted".into());
    let encrypted = made.blob("manifest", &json!({"config": config, "layers": [layer]}));
    made.layout(&[encrypted]);
    assert!(made.author("oci:DIR", AMD64).expect_err("encrypted").to_string().contains("cannot be unpacked"));
    let huge = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1_u64 << 40,
        "digest": Digest::of(b"")});
    made.layout(&[huge]);
    assert!(made.author("oci:DIR", AMD64).is_err());
}

/// As `docker save` wrote archives before version 25: a directory for each layer, and links to those that are alike.
#[test]
fn archives_of_old_dockers_are_read() {
    let mut made = Made::new();
    let layer = Writer::new(Vec::new()).finish().expect("memory");
    let diff_id = Digest::of(&layer);
    let config = json!({"author": "docker", "os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [diff_id, diff_id]}})
    .to_string();
    let config_file = format!("{}.json", Digest::of(config.as_bytes()).hex());
    made.write("one/layer.tar", &layer);
    made.write("one/VERSION", b"1.0");
    made.members.push(("two/layer.tar".into(), Kind::Symlink, b"../one/layer.tar".to_vec()));
    made.write(&config_file, config.as_bytes());
    let manifest = json!([{"Config": config_file, "RepoTags": ["demo:1"], "Layers": ["one/layer.tar", "two/layer.tar"]}]);
    made.write("manifest.json", manifest.to_string().as_bytes());
    made.archive("saved.tar");
    for reference in ["docker-archive:DIR/saved.tar", "docker-archive:DIR/saved.tar:demo:1"] {
        assert_eq!(made.author(reference, AMD64).expect("an image"), "docker");
    }
    let path = made.path("saved.tar").display().to_string();
    let source =
        Source::open(&format!("docker-archive:{path}").parse().expect("a reference"), &Platform::host());
    let source = source.expect("an image");
    assert_eq!(source.name.as_ref().map(Name::as_str), Some("demo:1"));
    let mut bytes = Vec::new();
    source.layer(&source.layers[1]).expect("a layer").read_to_end(&mut bytes).expect("readable");
    assert_eq!(bytes, layer);
    let refused = made.author("docker-archive:DIR/saved.tar:other", AMD64).expect_err("not there");
    assert!(refused.hint().is_some_and(|hint| hint.contains("demo:1")), "{refused}");
    // A config that is not what its name says.
    made.members.iter_mut().find(|(name, ..)| *name == config_file).expect("there").2.push(b' ');
    made.archive("changed.tar");
    let refused = made.author("docker-archive:DIR/changed.tar", AMD64).expect_err("changed").to_string();
    assert!(refused.contains("expected") && refused.contains("found"), "{refused}");
    // Links that lead out, and archives that are no archives.
    made.members.push(("x".into(), Kind::Symlink, b"../../etc/passwd".to_vec()));
    made.archive("out.tar");
    assert!(
        made.author("docker-archive:DIR/out.tar", AMD64).expect_err("out").to_string().contains("leads out")
    );
    made.write("gz.tar", &[0x1f, 0x8b, 8, 0]);
    assert!(
        made.author("oci-archive:DIR/gz.tar", AMD64).expect_err("compressed").to_string().contains("gunzip")
    );
}

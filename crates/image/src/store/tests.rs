use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileTypeExt as _;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::platform::Platform;
use crate::progress::Silent;
use crate::reference::{Name, Reference};
use crate::source::Source;
use crate::tar::write::Writer;
use crate::tar::{Entry, Kind, Time};
use crate::tree::Tree;
use crate::{bundle, save};

/// A layout with one image, and a store.
struct Place {
    dir: TempDir,
}

/// A layer of files; a name that ends with a slash is a directory.
fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Writer::new(Vec::new());
    for (path, content) in files {
        let directory = path.ends_with('/');
        let entry = Entry {
            path: (*path).into(),
            kind: if directory { Kind::Directory } else { Kind::File },
            mode: if directory { 0o751 } else { 0o644 },
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            link: Vec::new(),
            size: content.len() as u64,
            device: (0, 0),
            attributes: Vec::new(),
            pieces: None,
            offset: 0,
        };
        archive.entry(&entry).and_then(|()| archive.data(content.as_bytes())).expect("memory");
    }
    archive.finish().expect("memory")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes).and_then(|()| to.finish()).expect("memory")
}

impl Place {
    fn new() -> Self {
        Self { dir: TempDir::new().expect("a temporary directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn store(&self) -> Store {
        Store::open(Some(&self.path("store"))).expect("a store")
    }

    fn blob(&self, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        let dir = self.path("layout/blobs/sha256");
        fs::create_dir_all(&dir).expect("a directory");
        fs::write(dir.join(digest.hex()), bytes).expect("a blob");
        json!({"digest": digest, "size": bytes.len()})
    }

    /// Writes an image to the layout; its config may be changed first.
    fn image(&self, tag: &str, layers: &[Vec<u8>], change: impl FnOnce(&mut Value)) -> Reference {
        let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let mut config = json!({"os": "linux", "architecture": Platform::host().architecture,
            "config": {"Cmd": ["/bin/sh"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        change(&mut config);
        let kind = |mut descriptor: Value, kind: &str| {
            descriptor["mediaType"] = format!("application/vnd.oci.image.{kind}").into();
            descriptor
        };
        let layers: Vec<_> =
            layers.iter().map(|layer| kind(self.blob(&gzip(layer)), "layer.v1.tar+gzip")).collect();
        let config = kind(self.blob(config.to_string().as_bytes()), "config.v1+json");
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let mut manifest = kind(self.blob(manifest.to_string().as_bytes()), "manifest.v1+json");
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        self.index(&[manifest]);
        format!("oci:{}:{tag}", self.path("layout").display()).parse().expect("a reference")
    }

    fn index(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(self.path("layout/index.json"), index.to_string()).expect("an index");
        fs::write(self.path("layout/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
    }

    fn import(&self, reference: &Reference, name: &str) -> Result<ImageHandle> {
        let source = Source::open(reference, &Platform::host())?;
        self.store().import(&source, Some(&self::name(name)), &ImportOptions::default(), &Silent)
    }

    /// Every file of the store that is not a lock, by path, as far as it is not in a layer.
    fn files(&self) -> BTreeMap<String, usize> {
        ["blobs", "layers", "images", "pins", "tmp"]
            .map(|dir| (dir.into(), fs::read_dir(self.path("store").join(dir)).expect("a store").count()))
            .into()
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// Two layers: the second deletes, replaces and adds.
fn two() -> [Vec<u8>; 2] {
    let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\n";
    let below = layer(&[
        ("etc/", ""),
        ("etc/passwd", passwd),
        ("etc/old", "x"),
        ("d/", ""),
        ("d/a", "1"),
        ("s/", ""),
    ]);
    let above =
        layer(&[("etc/.wh.old", ""), ("etc/new", "new"), ("d/", ""), ("d/.wh..wh..opq", ""), ("d/b", "2")]);
    [below, above]
}

#[test]
fn an_image_is_imported_found_and_removed() {
    let place = Place::new();
    let reference = place.image("tag", &two(), |_| ());
    let image = place.import(&reference, "demo").expect("a good image");
    let trees: Vec<_> = image.layers.iter().map(|layer| layer.join("d")).collect();
    assert!(trees[0].join("b").exists() && trees[1].join("a").exists(), "the topmost layer comes first");
    let whiteout = fs::symlink_metadata(image.layers[0].join("etc/old")).expect("a whiteout");
    assert!(whiteout.file_type().is_char_device());
    drop(image);
    let store = place.store();
    let found = store.image(&name("demo")).expect("imported");
    assert_eq!(store.images().expect("a list")[0].id, found.id);
    assert_eq!(store.image(&name(&found.id.hex()[..8])).expect("by id").manifest, found.manifest);
    assert!(store.image(&name("other")).is_err());
    // In use: gc waits for nobody here, so the handle has to go first.
    drop(found);
    store.remove(&name("demo")).expect("there");
    assert_eq!(store.gc().expect("a store").layers.len(), 2);
    assert!(place.files().values().all(|count| *count == 0), "{:?}", place.files());
}

#[test]
fn layers_are_shared_and_live_as_long_as_anybody_has_them() {
    let place = Place::new();
    let [below, above] = two();
    let one = place.image("one", &[below.clone(), above], |_| ());
    place.import(&one, "one").expect("a good image");
    let two = place.image("two", &[below], |_| ());
    let handle = place.import(&two, "two").expect("a good image");
    assert_eq!(place.files()["layers"], 2);
    let owner = place.path("container");
    fs::create_dir(&owner).expect("a directory");
    place.store().pin(&owner, &handle).expect("a store");
    drop(handle);
    let store = place.store();
    store.remove(&name("one")).expect("there");
    store.remove(&name("two")).expect("there");
    assert_eq!(store.gc().expect("a store").layers.len(), 1, "the container has the other");
    assert_eq!(place.files()["layers"], 1);
    fs::remove_dir(&owner).expect("empty");
    assert_eq!(store.gc().expect("a store").layers.len(), 1);
    assert!(place.files().values().all(|count| *count == 0), "{:?}", place.files());
}

#[test]
fn importers_at_once_unpack_each_layer_once() {
    let place = Place::new();
    let reference = place.image("tag", &two(), |_| ());
    place.store();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (place, reference) = (&place, &reference);
            scope.spawn(move || place.import(reference, &format!("image-{number}")).expect("a good image"));
        }
    });
    let files = place.files();
    assert_eq!((files["layers"], files["images"], files["blobs"], files["tmp"]), (2, 8, 2, 0));
}

/// What somebody leaves who is killed is removed by gc, and keeps nobody from importing.
#[test]
fn leftovers_are_found() {
    let place = Place::new();
    let reference = place.image("tag", &two(), |_| ());
    let store = place.store();
    let left = store.place.make_temporary().expect("a store");
    fs::create_dir_all(place.path("store").join(&left).join("tree/a/b")).expect("a directory");
    fs::write(place.path("store/tmp/half-a-document"), "{").expect("a file");
    place.import(&reference, "demo").expect("a good image");
    let freed = store.gc().expect("a store");
    assert_eq!((freed.leftovers, freed.layers.len()), (2, 0));
    place.store().image(&name("demo")).expect("still there");
}

type Change = fn(&mut Vec<u8>);

/// Each part of an image that is changed is found out, with what was expected and found, and leaves nothing.
#[test]
fn nothing_is_believed_without_its_digest() {
    let layers = two();
    let flip: Change = |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
    };
    let shorter: Change = |bytes| bytes.truncate(bytes.len() - 1);
    let longer: Change = |bytes| bytes.push(0);
    for change in [flip, shorter, longer] {
        let place = Place::new();
        let reference = place.image("tag", &layers, |_| ());
        place.store();
        let blobs = fs::read_dir(place.path("layout/blobs/sha256")).expect("a layout");
        let blobs: Vec<_> = blobs.map(|entry| entry.expect("a blob").path()).collect();
        assert_eq!(blobs.len(), 4, "two layers, a config, a manifest");
        for blob in blobs {
            let good = fs::read(&blob).expect("a blob");
            let mut bad = good.clone();
            change(&mut bad);
            fs::write(&blob, bad).expect("a blob");
            let refused = place.import(&reference, "demo").expect_err("it was changed").to_string();
            assert!(refused.contains("expected") && refused.contains("found"), "{refused}");
            fs::write(&blob, good).expect("a blob");
            assert_eq!(place.files()["images"] + place.files()["tmp"], 0, "{refused}");
        }
        place.import(&reference, "demo").expect("it is as it was");
    }
}

#[test]
fn a_layer_is_what_the_config_says_without_compression() {
    let place = Place::new();
    let other = Digest::of(b"other");
    let reference = place.image("tag", &two(), |config| config["rootfs"]["diff_ids"][0] = json!(other));
    let refused = place.import(&reference, "demo").expect_err("another layer").to_string();
    assert!(refused.contains(&other.to_string()) && refused.contains("without compression"), "{refused}");
    let reference = place.image("tag", &two(), |config| config["rootfs"]["diff_ids"] = json!([]));
    let refused = place.import(&reference, "demo").expect_err("too few").to_string();
    assert!(refused.contains("2 layers"), "{refused}");
}

#[test]
fn bombs_are_refused() {
    let place = Place::new();
    let zeros = "\0".repeat(3_000_000);
    let reference = place.image("tag", &[layer(&[("zeros", &zeros)])], |_| ());
    let source = Source::open(&reference, &Platform::host()).expect("a good image");
    let limits = crate::Limits { bytes: 2_000_000, ..crate::Limits::default() };
    let options = ImportOptions { limits, ..ImportOptions::default() };
    let refused =
        place.store().import(&source, Some(&name("demo")), &options, &Silent).expect_err("too large");
    assert!(refused.hint().is_some_and(|hint| hint.contains("--max-bytes")), "{refused}");
    assert_eq!(place.files()["tmp"] + place.files()["layers"], 0);
}

#[test]
fn the_layers_are_seen_and_copied_as_one_tree() {
    let place = Place::new();
    let reference = place.image("tag", &two(), |config| {
        config["config"] =
            json!({"Cmd": ["/bin/sh"], "User": "ann", "WorkingDir": "/srv/here", "Volumes": {"/d": {}}});
    });
    let image = place.import(&reference, "demo").expect("a good image");
    let tree = Tree::of(&image).expect("layers");
    let read = |path: &str| {
        tree.read(path, 100).expect("readable").map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    assert_eq!(read("/d/a"), None, "hidden by the layer above");
    assert_eq!((read("/d/b"), read("d/../etc/./new")), (Some("2".into()), Some("new".into())));
    assert_eq!(read("/etc/old"), None, "deleted");
    let to = place.path("bundle");
    bundle::create(&place.store(), &image, &to, &crate::Overrides::default(), |_| (), &Silent)
        .expect("a bundle");
    let at = |path: &str| to.join("rootfs").join(path);
    assert!(!at("etc/old").exists() && !at("d/a").exists() && at("d/b").exists() && at("s").exists());
    assert_eq!(fs::read_to_string(at("etc/new")).expect("copied"), "new");
    // The layer above has something in /etc, but does not describe it.
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(at("etc")).expect("copied"));
    assert_eq!(mode & 0o7777, 0o751);
    assert!(at("srv/here").is_dir(), "the working directory is made");
    let config: Value =
        serde_json::from_slice(&fs::read(to.join("config.json")).expect("written")).expect("JSON");
    assert_eq!(
        (&config["process"]["user"]["uid"], &config["process"]["user"]["gid"]),
        (&json!(1000), &json!(100))
    );
    let volume = config["mounts"].as_array().and_then(|mounts| mounts.last()).expect("mounts");
    assert_eq!((&volume["destination"], &volume["source"]), (&json!("/d"), &json!("volumes/0")));
    assert!(to.join("volumes/0/b").exists(), "a volume begins with what the image has there");
    let again = bundle::create(&place.store(), &image, &to, &crate::Overrides::default(), |_| (), &Silent);
    assert!(again.expect_err("it is there").to_string().contains("not empty"));
}

/// Overlayfs shows directories as they are in the image, also where a layer has something in them without saying what they
/// are like.
#[test]
fn the_upper_directory_has_what_layers_do_not_describe() {
    let place = Place::new();
    let below = layer(&[("./", ""), ("a/", ""), ("a/b/", ""), ("c/", "")]);
    let above = layer(&[("a/b/file", "x"), ("c/", ""), ("new/file", "")]);
    let reference = place.image("tag", &[below, above], |_| ());
    let image = place.import(&reference, "demo").expect("a good image");
    let upper = place.path("upper");
    fs::create_dir(&upper).expect("a directory");
    let fd = File::open(&upper).expect("a directory").into();
    place.store().prepare_upper(&image, &fd, false).expect("prepared");
    let mode = |path: &str| {
        std::os::unix::fs::MetadataExt::mode(&fs::metadata(upper.join(path)).expect("made")) & 0o7777
    };
    assert_eq!((mode("."), mode("a"), mode("a/b")), (0o751, 0o751, 0o751));
    assert!(!upper.join("c").exists() && !upper.join("new").exists() && !upper.join("a/b/file").exists());
}

/// In a user namespace overlayfs does not see which directories hide those below.
#[test]
fn the_upper_directory_deletes_what_marks_would_hide() {
    let place = Place::new();
    let below =
        layer(&[("./", ""), ("a/", ""), ("a/one", "1"), ("a/sub/", ""), ("a/sub/two", "2"), ("b/", "")]);
    let above = layer(&[("a/", ""), ("a/.wh..wh..opq", ""), ("a/sub/", ""), ("a/sub/new", "n"), ("b/x", "")]);
    let reference = place.image("tag", &[below, above], |_| ());
    let image = place.import(&reference, "demo").expect("a good image");
    if image.userxattr {
        eprintln!("SKIP: this user's stores have marks that are seen");
        return;
    }
    let upper = place.path("upper");
    fs::create_dir(&upper).expect("a directory");
    let fd = File::open(&upper).expect("a directory").into();
    place.store().prepare_upper(&image, &fd, true).expect("prepared");
    let look = |path: &str| fs::symlink_metadata(upper.join(path)).expect("made");
    let is_deleted = |path| {
        std::os::unix::fs::MetadataExt::rdev(&look(path)) == 0
            && !look(path).is_dir()
            && !look(path).is_file()
    };
    assert!(is_deleted("a/one") && is_deleted("a/sub/two"));
    assert!(!upper.join("a/sub/new").exists() && !upper.join("b/x").exists());
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&look("a/sub")) & 0o7777, 0o751);
}

#[test]
fn what_is_saved_is_imported_again_with_the_same_files() {
    let place = Place::new();
    let reference = place.image("tag", &two(), |_| ());
    let image = place.import(&reference, "demo").expect("a good image");
    let store = place.store();
    let saved = |to: &str, image: &ImageHandle| {
        let mut file = File::create(place.path(to)).expect("a file");
        save::save(&store, image, "registry.example/demo:1", &mut file).expect("saved");
        fs::read(place.path(to)).expect("a file")
    };
    let bytes = saved("saved.tar", &image);
    for transport in ["oci-archive", "docker-archive"] {
        let reference = format!("{transport}:{}", place.path("saved.tar").display());
        let source =
            Source::open(&reference.parse().expect("a reference"), &Platform::host()).expect("an image");
        // Under the name that the archive has for it.
        let again = store.import(&source, None, &ImportOptions::default(), &Silent).expect("a good image");
        assert_eq!(again.name.as_deref(), Some("registry.example/demo:1"));
        assert_eq!(Tree::of(&again).expect("layers").read("/d/a", 9).expect("readable"), None);
        assert_eq!(saved("again.tar", &again), bytes, "{transport}");
    }
}

#[test]
fn a_directory_of_something_else_is_no_store() {
    let place = Place::new();
    fs::create_dir(place.path("store")).expect("a directory");
    fs::write(place.path("store/precious"), "").expect("a file");
    assert!(Store::open(Some(&place.path("store"))).is_err());
    fs::remove_file(place.path("store/precious")).expect("a file");
    place.store();
    fs::write(place.path("store/format"), r#"{"format":2,"opaque":"user"}"#).expect("a file");
    let refused = Store::open(Some(&place.path("store"))).expect_err("of another version").to_string();
    assert!(refused.contains("format 2"), "{refused}");
}

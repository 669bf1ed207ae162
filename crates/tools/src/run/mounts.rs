//! What is mounted besides the root: `-v`, `--mount`, `--tmpfs`, as Docker writes them.

use std::path::{Component, Path};

use orlop_spec::Mount;

/// Options of a tmpfs that nobody has said otherwise about, as with Docker.
const TMPFS: [&str; 3] = ["nosuid", "nodev", "noexec"];
const PROPAGATIONS: [&str; 6] = ["shared", "rshared", "slave", "rslave", "private", "rprivate"];

/// What is mounted, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) source: Source,
    /// Where, absolute.
    pub(crate) target: String,
    pub(crate) read_only: bool,
    /// `rprivate`, `rshared` …; empty is `rprivate`.
    pub(crate) propagation: String,
    /// An empty volume begins with what the image has there.
    pub(crate) copy: bool,
}

/// Where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file or directory of the host; made as a directory if it is missing and `-v` names it.
    Host { path: String, make: bool },
    /// A volume of this name.
    Volume(String),
    /// A volume of the container's own, gone with it.
    Anonymous,
    /// A tmpfs with these options.
    Memory(Vec<String>),
}

/// `-v`: `HOST:CONTAINER[:OPTIONS]`, `VOLUME:CONTAINER[:OPTIONS]` or `CONTAINER`.
pub(crate) fn volume(text: &str) -> Result<Wish, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => ("", target, ""),
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err("there are SOURCE:TARGET, SOURCE:TARGET:OPTIONS and TARGET".to_owned()),
    };
    let source = match source {
        "" if parts.len() == 1 => Source::Anonymous,
        "" => return Err("the source is empty".to_owned()),
        path if path.starts_with(['/', '.']) => Source::Host { path: path.to_owned(), make: true },
        name => Source::Volume(volume_name(name)?),
    };
    if options.split(',').any(|option| option == "nocopy") && matches!(source, Source::Host { .. }) {
        return Err("nocopy is for volumes".to_owned());
    }
    let mut wish = wish(source, target)?;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => wish.read_only = true,
            "rw" => wish.read_only = false,
            "nocopy" => wish.copy = false,
            _ if PROPAGATIONS.contains(&option) => option.clone_into(&mut wish.propagation),
            "z" | "Z" => return Err(format!("{option}: labels of SELinux are not changed by orlop")),
            _ => {
                return Err(format!("{option:?}: there are ro, rw, nocopy, and {}", PROPAGATIONS.join(", ")));
            }
        }
    }
    Ok(wish)
}

/// `--mount`: `type=bind|volume|tmpfs,source=…,target=…[,readonly]` …
pub(crate) fn mount(text: &str) -> Result<Wish, String> {
    let (mut kind, mut source, mut target) = ("volume", "", "");
    let (mut read_only, mut propagation, mut options, mut copy) = (false, "", Vec::new(), true);
    for field in text.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        match (key, value) {
            ("type", kinds) => kind = kinds,
            ("source" | "src", value) => source = value,
            ("target" | "destination" | "dst", value) => target = value,
            ("readonly" | "ro", "" | "true" | "1") => read_only = true,
            ("readonly" | "ro", "false" | "0") => read_only = false,
            ("volume-nocopy", "" | "true" | "1") => copy = false,
            ("volume-nocopy", "false" | "0") => copy = true,
            ("bind-propagation", value) if PROPAGATIONS.contains(&value) => propagation = value,
            ("tmpfs-size", value) => options.push(format!("size={value}")),
            ("tmpfs-mode", value) => options.push(format!("mode={value}")),
            _ => return Err(format!("{field:?} is not understood")),
        }
    }
    if !options.is_empty() && kind != "tmpfs" {
        return Err("tmpfs-size and tmpfs-mode are for type=tmpfs".to_owned());
    }
    if !copy && kind != "volume" {
        return Err("volume-nocopy is for type=volume".to_owned());
    }
    let source = match (kind, source) {
        ("bind", "") => return Err("a bind mount needs a source".to_owned()),
        ("bind", path) if path.starts_with('/') => Source::Host { path: path.to_owned(), make: false },
        ("bind", path) => return Err(format!("the source {path:?} is not an absolute path")),
        ("volume", "") => Source::Anonymous,
        ("volume", name) => Source::Volume(volume_name(name)?),
        ("tmpfs", "") => Source::Memory(memory_options(options.iter().map(String::as_str))),
        ("tmpfs", _) => return Err("a tmpfs has no source".to_owned()),
        _ => return Err(format!("type {kind:?}: there are bind, volume and tmpfs")),
    };
    Ok(Wish { read_only, copy, propagation: propagation.to_owned(), ..wish(source, target)? })
}

/// `--tmpfs`: `TARGET[:OPTIONS]`.
pub(crate) fn tmpfs(text: &str) -> Result<Wish, String> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let options = options.split(',').filter(|option| !option.is_empty());
    wish(Source::Memory(memory_options(options)), target)
}

/// Those that are given, and [`TMPFS`] as far as they say nothing of it.
fn memory_options<'a>(given: impl Iterator<Item = &'a str>) -> Vec<String> {
    let given: Vec<String> = given.map(str::to_owned).collect();
    let opposite = |option: &str| option.strip_prefix("no").unwrap_or_default().to_owned();
    let mut options: Vec<String> = TMPFS
        .iter()
        .filter(|option| !given.iter().any(|other| other == *option || *other == opposite(option)))
        .map(ToString::to_string)
        .collect();
    options.extend(given);
    options
}

fn wish(source: Source, target: &str) -> Result<Wish, String> {
    let path = Path::new(target);
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain || path.parent().is_none() {
        return Err(format!("the target {target:?} is not an absolute path below /"));
    }
    let propagation = String::new();
    Ok(Wish { source, target: target.to_owned(), read_only: false, propagation, copy: true })
}

/// A volume's name, which becomes that of a directory.
pub(crate) fn volume_name(name: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts && name.len() <= 255 && name.chars().all(good) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "{name:?} is neither a path nor the name of a volume: letters, digits, and _ . - after the first"
    ))
}

impl Wish {
    /// The mount, where its files are at this path of the host; a tmpfs has none.
    pub(crate) fn mount(&self, path: Option<&Path>) -> Mount {
        let mut mount = Mount { destination: self.target.clone(), ..Mount::default() };
        match (&self.source, path) {
            (Source::Memory(options), _) => {
                "tmpfs".clone_into(&mut mount.kind);
                "tmpfs".clone_into(&mut mount.source);
                mount.options.clone_from(options);
            }
            (_, path) => {
                "bind".clone_into(&mut mount.kind);
                mount.source = path.unwrap_or(Path::new("")).to_string_lossy().into_owned();
                let propagation = if self.propagation.is_empty() { "rprivate" } else { &self.propagation };
                mount.options = vec!["rbind".to_owned(), propagation.to_owned()];
            }
        }
        if self.read_only {
            mount.options.push("ro".to_owned());
        }
        mount
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(path: &str, make: bool) -> Source {
        Source::Host { path: path.to_owned(), make }
    }

    #[test]
    fn volumes_are_written_as_with_docker() {
        let all = volume("/srv/www:/www:ro,rslave").unwrap();
        assert_eq!((all.source, all.target.as_str()), (host("/srv/www", true), "/www"));
        assert!(all.read_only && all.propagation == "rslave");
        assert_eq!(volume("data:/var/lib").unwrap().source, Source::Volume("data".to_owned()));
        assert_eq!(volume("./here:/there").unwrap().source, host("./here", true));
        assert_eq!(volume("/var/cache").unwrap().source, Source::Anonymous);
        for wrong in [
            "",
            ":/a",
            "a:b",
            "/a:/",
            "/a:/b/../c",
            "/a:/b:ro:x",
            "/a:/b:rx",
            "/a:/b:nocopy",
            "-a:/b",
            "a b:/c",
            "/a:/b:Z",
        ] {
            assert!(volume(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn mounts_are_written_as_with_docker() {
        let bind = mount("type=bind,src=/srv,dst=/www,readonly,bind-propagation=rshared").unwrap();
        assert_eq!(bind.mount(Some(Path::new("/srv"))).options, ["rbind", "rshared", "ro"]);
        assert_eq!(mount("source=data,target=/d").unwrap().source, Source::Volume("data".to_owned()));
        let memory = mount("type=tmpfs,target=/tmp,tmpfs-size=1m,tmpfs-mode=1777").unwrap();
        assert_eq!(memory.mount(None).options, ["nosuid", "nodev", "noexec", "size=1m", "mode=1777"]);
        for wrong in [
            "type=bind,target=/a",
            "type=bind,source=/a,target=/a,volume-nocopy",
            "type=bind,source=a,target=/a",
            "type=npipe,target=/a",
            "target=a",
            "x=1,target=/a",
            "type=tmpfs,source=a,target=/a",
            "source=data,target=/a,tmpfs-size=1m",
            "type=bind,source=/a,target=/",
        ] {
            assert!(mount(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_tmpfs_is_as_safe_as_it_is_not_asked_to_be_otherwise() {
        let options = |text| tmpfs(text).unwrap().mount(None).options;
        assert_eq!(options("/tmp"), ["nosuid", "nodev", "noexec"]);
        assert_eq!(options("/tmp:exec,size=64m"), ["nosuid", "nodev", "exec", "size=64m"]);
        assert_eq!(options("/tmp:nosuid,dev"), ["noexec", "nosuid", "dev"]);
    }
}

//! Id-mapped mounts: files have other owners there than in the file system itself.

use super::{Compiler, Entry};
use crate::compiler::bytes;
use crate::mappings::{Ids, find};
use crate::namespaces::Membership;
use crate::{Code, Fill, FillWith, IdMaps, MountIdMap, UserNamespace};
use orlop_program::Slot;
use orlop_program::source::Source;
use orlop_spec::{IdMapping, NamespaceKind, Pointer};
use std::path::Path;

/// What the options `idmap` and `ridmap` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IdMapOption<'a> {
    /// Every mount of the tree.
    pub(super) recursive: bool,
    /// The mappings in the form of crun: `uids=0-100-10#10-300-5;gids=@0-0-10`.
    pub(super) text: Option<&'a str>,
    /// Its place in the list.
    pub(super) index: usize,
}

impl Compiler<'_> {
    /// The mapping of a mount, if it is to have one: its own, else that of the container's user namespace.
    pub(super) fn id_map(&mut self, entry: &Entry<'_>) -> Option<MountIdMap> {
        let option = entry.options.id_map;
        let own = [&entry.mount.uid_mappings, &entry.mount.gid_mappings];
        let given = own.map(|maps| !maps.is_empty());
        if option.is_none() && given == [false, false] {
            return None;
        }
        let uids = entry.field("/mounts/{}/uidMappings");
        let pointer = option.map_or_else(|| uids.clone(), |option| entry.option(option.index));
        let namespace = match (given, option.and_then(|option| option.text)) {
            ([true, true], None) => self.own_id_maps(entry),
            ([false, false], Some(text)) => self.id_maps_of_text(text, &pointer)?,
            ([false, false], None) => self.id_maps_of_container(&pointer)?,
            (_, Some(_)) => {
                let message =
                    "the mappings are given twice, in the option and as uidMappings and gidMappings";
                self.error(Code::MountIdMap, pointer, message);
                return None;
            }
            (_, None) => {
                let missing = if given[0] { entry.field("/mounts/{}/gidMappings") } else { uids };
                let message = "an id-mapped mount must have both uid and gid mappings";
                self.error(Code::MountIdMap, missing, message)
                    .hint("add uidMappings and gidMappings, or neither");
                return None;
            }
        };
        let recursive = option.is_some_and(|option| option.recursive);
        Some(MountIdMap { namespace, recursive, origin: pointer.into() })
    }

    /// The slot of the user namespace that a new file system is mapped by.
    pub(super) fn id_map_of_new(&mut self, entry: &Entry<'_>) -> Option<Slot> {
        let map = self.id_map(entry)?;
        let pointer = entry.pointer();
        if self.in_user_namespace() {
            let message = "a new file system belongs to the container's user namespace, and the kernel lets only its \
                owner map ids by another one";
            self.error(Code::MountIdMap, pointer, message)
                .hint("leave out idmap, or mount it on the host and bind it");
            return None;
        }
        Some(self.user_namespace(map, &pointer))
    }

    /// The slot of a user namespace with a mount's mapping.
    pub(super) fn user_namespace(&mut self, map: MountIdMap, asks: &Pointer) -> Slot {
        let slot = self.slot(asks);
        let origin = map.origin.clone();
        self.launch.fills.push(Fill { slot, what: FillWith::UserNamespace(map), origin });
        slot
    }

    /// A path that init opens in its own mounts and has mapped by the host side.
    pub(super) fn mapped_by_host<'p>(
        &mut self,
        path: &'p Path,
        map: MountIdMap,
        asks: &Pointer,
    ) -> Source<'p> {
        let Ok(number) = u8::try_from(self.launch.maps_by_host.len()) else {
            // As many slots as there can be are more than that.
            return self.tree(path, map.recursive, Some(map), asks);
        };
        self.launch.maps_by_host.push(map);
        Source::MappedByHost(bytes(path).into(), number)
    }

    fn own_id_maps(&mut self, entry: &Entry<'_>) -> UserNamespace {
        let (uid, gid) = (&entry.mount.uid_mappings, &entry.mount.gid_mappings);
        for (maps, list, of_list) in [
            (uid, "/mounts/{}/uidMappings", "/mounts/{}/uidMappings/{}"),
            (gid, "/mounts/{}/gidMappings", "/mounts/{}/gidMappings/{}"),
        ] {
            self.check_maps(maps, Code::MountIdMap, &|at| match at {
                Some(at) => Pointer::new(of_list).at(entry.index).at(at),
                None => entry.field(list),
            });
        }
        UserNamespace::With(IdMaps {
            uid: uid.clone(),
            gid: gid.clone(),
            deny_setgroups: false,
            uid_origin: entry.field("/mounts/{}/uidMappings").into(),
            gid_origin: entry.field("/mounts/{}/gidMappings").into(),
        })
    }

    pub(crate) fn id_maps_of_container(&mut self, pointer: &Pointer) -> Option<UserNamespace> {
        match self.namespaces.of(&NamespaceKind::User) {
            Membership::New => Some(UserNamespace::With(self.id_maps())),
            Membership::Joined(path) => Some(UserNamespace::Of(path.into())),
            Membership::Inherited => {
                let message = "there are no mappings: neither the mount nor a user namespace has any";
                self.error(Code::MountIdMap, pointer.clone(), message)
                    .hint("add uidMappings and gidMappings to the mount");
                None
            }
        }
    }

    fn id_maps_of_text(&mut self, text: &str, pointer: &Pointer) -> Option<UserNamespace> {
        let parsed = parse(text, |ids| self.maps_of(ids));
        let [uid, gid] = match parsed {
            Ok(maps) => maps,
            Err(what) => {
                let message = format!("{text:?} is no mapping of ids: {what}");
                self.error(Code::MountIdMap, pointer.clone(), message)
                    .hint("write it as uids=0-100000-65536;gids=0-100000-65536: first id in the file system, on the host, size");
                return None;
            }
        };
        for maps in [&uid, &gid] {
            self.check_maps(maps, Code::MountIdMap, &|_| pointer.clone());
        }
        let (uid_origin, gid_origin) = (pointer.clone().into(), pointer.clone().into());
        Some(UserNamespace::With(IdMaps { uid, gid, deny_setgroups: false, uid_origin, gid_origin }))
    }
}

/// Reads mappings as crun has them: for users and groups, ranges divided by `#`, each with the first id in the file system,
/// the first id on the host, and the size. After `@`, the host's is an id of the container's user namespace.
fn parse<'m>(
    text: &str,
    of_container: impl Fn(Ids) -> &'m [IdMapping],
) -> Result<[Vec<IdMapping>; 2], String> {
    let mut maps = [Vec::new(), Vec::new()];
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let (ids, ranges) = match part.split_once('=') {
            Some(("uids", ranges)) => (Ids::User, ranges),
            Some(("gids", ranges)) => (Ids::Group, ranges),
            _ => return Err(format!("{part:?} begins with neither uids= nor gids=")),
        };
        for range in ranges.split('#').filter(|range| !range.is_empty()) {
            maps[usize::from(ids == Ids::Group)].push(self::range(range, of_container(ids))?);
        }
    }
    if maps.iter().any(Vec::is_empty) { Err("it needs both uids and gids".to_owned()) } else { Ok(maps) }
}

fn range(text: &str, of_container: &[IdMapping]) -> Result<IdMapping, String> {
    let (relative, range) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
    let Some(mut mapping) = IdMapping::parse(range, '-') else {
        return Err(format!("{text:?} are not three numbers"));
    };
    if relative {
        let id = mapping.host_id;
        mapping.host_id = find(of_container, id)
            .ok_or_else(|| format!("id {id} is not mapped in the container's user namespace"))?;
    }
    Ok(mapping)
}

#[cfg(test)]
mod tests {
    use super::{IdMapping, parse};

    const fn map(container_id: u32, host_id: u32, size: u32) -> IdMapping {
        IdMapping { container_id, host_id, size }
    }

    #[test]
    fn mappings_of_cruns_form() {
        // The example of crun(1).
        let container = [map(0, 0, 1), map(1, 2, 1000)];
        let read = |text| parse(text, |_| &container[..]);
        let both = read("uids=0-1-10#10-11-10;gids=0-100-10").unwrap();
        assert_eq!(both, [vec![map(0, 1, 10), map(10, 11, 10)], vec![map(0, 100, 10)]]);
        assert_eq!(read("gids=0-5-1;uids=@1-3-10").unwrap(), [vec![map(1, 4, 10)], vec![map(0, 5, 1)]]);
        for bad in [
            "",
            "uids=0-1-2",
            "uids=0-1;gids=0-1-2",
            "uids=0-1-x;gids=0-1-2",
            "users=0-0-1;gids=0-0-1",
            "uids=@0-5000-1;gids=0-0-1",
            "uids=0-0-1;gids=@-1-1-1",
            "uids=0-0-1-1;gids=0-0-1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

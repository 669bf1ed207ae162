//! User and group id mappings of the container's user namespace.

use crate::compiler::Compiler;
use crate::namespaces::Membership;
use crate::{Code, IdMaps};
use orlop_spec::{IdMapping, NamespaceKind, Pointer};

/// The most lines that the kernel takes (user_namespaces(7)).
const MOST: usize = 340;

const UID: &str = "/linux/uidMappings";
const GID: &str = "/linux/gidMappings";

/// User or group ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    User,
    Group,
}

impl Ids {
    const fn list(self) -> &'static str {
        match self {
            Self::User => UID,
            Self::Group => GID,
        }
    }

    const fn entry(self) -> &'static str {
        match self {
            Self::User => "/linux/uidMappings/{}",
            Self::Group => "/linux/gidMappings/{}",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::User => "user id",
            Self::Group => "group id",
        }
    }
}

impl<'a> Compiler<'a> {
    pub(crate) fn maps_of(&self, ids: Ids) -> &'a [IdMapping] {
        match ids {
            Ids::User => &self.linux.uid_mappings,
            Ids::Group => &self.linux.gid_mappings,
        }
    }

    /// Checks the mappings, and hands them to the host side.
    pub(crate) fn mappings(&mut self) {
        let user = self.namespaces.of(&NamespaceKind::User);
        let given = [Ids::User, Ids::Group].map(|ids| !self.maps_of(ids).is_empty());
        for ids in [Ids::User, Ids::Group] {
            self.check_list(ids);
        }
        match user {
            Membership::Inherited => {
                for (ids, _) in [Ids::User, Ids::Group].into_iter().zip(given).filter(|(_, given)| *given) {
                    let message = format!("{} mappings need a user namespace", ids.name());
                    self.error(Code::MappingWithoutUser, Pointer::new(ids.list()), message)
                        .hint("add {\"type\": \"user\"} to linux.namespaces, or remove the mappings");
                }
            }
            Membership::New => {
                for ids in [Ids::User, Ids::Group] {
                    self.check_new(ids);
                }
                self.launch.id_maps = Some(self.id_maps());
            }
            Membership::Joined(path) => {
                if given == [true, true] {
                    let message =
                        format!("mappings are only compared with those of {path:?}, which is joined");
                    self.warn(Code::Mapping, Pointer::new(UID), message)
                        .hint("give a path or mappings, not both");
                    self.launch.joined_id_maps = Some(self.id_maps());
                } else if given != [false, false] {
                    let message =
                        "for a user namespace that is joined, give mappings of users and groups or none";
                    self.error(Code::Mapping, Pointer::new(if given[0] { GID } else { UID }), message);
                }
            }
        }
    }

    pub(crate) fn id_maps(&self) -> IdMaps {
        IdMaps {
            uid: self.linux.uid_mappings.clone(),
            gid: self.linux.gid_mappings.clone(),
            deny_setgroups: self.denies_setgroups_by_map(),
            uid_origin: Pointer::new(UID).into(),
            gid_origin: Pointer::new(GID).into(),
        }
    }

    /// A caller without privileges that maps just its own group may do so only after giving up setgroups(2): else it
    /// could drop a group by which a file denies access (user_namespaces(7)). Other maps are written by newgidmap(1),
    /// which looks after that itself.
    fn denies_setgroups_by_map(&self) -> bool {
        let own = IdMapping { container_id: 0, host_id: self.host.egid, size: 1 };
        !self.host.privileged && self.host.euid != 0 && self.linux.gid_mappings == [own]
    }

    /// Whether setgroups(2) is denied to init.
    pub(crate) fn setgroups_denied(&self) -> bool {
        match self.namespaces.of(&NamespaceKind::User) {
            Membership::New => self.host.setgroups_denied || self.denies_setgroups_by_map(),
            // What the namespace allows is not known; only one made like the above denies it.
            Membership::Joined(_) => self.denies_setgroups_by_map(),
            Membership::Inherited => self.host.setgroups_denied,
        }
    }

    fn check_new(&mut self, ids: Ids) {
        let maps = self.maps_of(ids);
        if maps.is_empty() {
            let message = format!("a new user namespace needs {} mappings", ids.name());
            self.error(Code::MappingMissing, Pointer::new(ids.list()), message)
                .hint("map at least id 0 of the container, or give the namespace a path to join");
        } else if find(maps, 0).is_none() {
            let message = format!("{} 0 of the container is not mapped, but init has to be it", ids.name());
            self.error(Code::IdUnmapped, Pointer::new(ids.list()), message);
        }
    }

    fn check_list(&mut self, ids: Ids) {
        self.check_maps(self.maps_of(ids), Code::Mapping, &|at| match at {
            Some(at) => Pointer::new(ids.entry()).at(at),
            None => Pointer::new(ids.list()),
        });
    }

    /// Refuses mappings that the kernel would refuse. `place` is where one of them stands, or all of them.
    pub(crate) fn check_maps(
        &mut self,
        maps: &[IdMapping],
        code: Code,
        place: &dyn Fn(Option<usize>) -> Pointer,
    ) {
        if maps.len() > MOST {
            let message = format!("{} mappings are more than the {MOST} that the kernel takes", maps.len());
            self.error(code, place(None), message);
            return;
        }
        for (index, map) in maps.iter().enumerate() {
            if map.size == 0 {
                self.error(code, place(Some(index)), "the mapping has size 0");
                continue;
            }
            // The last id, 2^32-1, means "no id" to the kernel.
            if [map.container_id, map.host_id].iter().any(|start| start.checked_add(map.size).is_none()) {
                let message = format!("the mapping of {} ids goes beyond id {}", map.size, u32::MAX - 1);
                self.error(code, place(Some(index)), message);
                continue;
            }
            let overlap =
                |a: u32, b: u32, size: u32| a < b.saturating_add(size) && b < a.saturating_add(map.size);
            let earlier = maps[..index].iter().position(|other| {
                overlap(map.container_id, other.container_id, other.size)
                    || overlap(map.host_id, other.host_id, other.size)
            });
            if let Some(other) = earlier {
                let message = format!("the mapping overlaps with {}", place(Some(other)));
                self.error(code, place(Some(index)), message).hint("each id can be mapped only once");
            }
        }
    }

    /// Refuses an id that the container's user namespace does not have, where that can be known.
    pub(crate) fn must_be_mapped(&mut self, ids: Ids, id: u32, pointer: &Pointer) {
        let maps = self.maps_of(ids);
        if self.in_user_namespace() && !maps.is_empty() && find(maps, id).is_none() {
            let message = format!("{} {id} is not mapped in the container's user namespace", ids.name());
            self.error(Code::IdUnmapped, pointer.clone(), message)
                .hint(format!("add it to {}", &ids.list()[1..].replace('/', ".")));
        }
    }

    /// Who a user of the container is on the host, as far as the config says so.
    pub(crate) fn host_uid(&self, uid: u32) -> Option<u32> {
        if self.in_user_namespace() { find(&self.linux.uid_mappings, uid) } else { Some(uid) }
    }
}

/// What an id of the container is on the host.
pub(crate) fn find(maps: &[IdMapping], id: u32) -> Option<u32> {
    maps.iter().find_map(|map| {
        let offset = id.checked_sub(map.container_id).filter(|offset| *offset < map.size)?;
        map.host_id.checked_add(offset)
    })
}

#[cfg(test)]
mod tests {
    use super::{IdMapping, find};

    #[test]
    fn ids_are_found_in_ranges() {
        let maps = [
            IdMapping { container_id: 0, host_id: 1000, size: 1 },
            IdMapping { container_id: 1, host_id: 100_000, size: 65535 },
        ];
        assert_eq!(find(&maps, 0), Some(1000));
        assert_eq!(find(&maps, 65535), Some(165_534));
        assert_eq!(find(&maps, 65536), None);
    }
}

//! The user and groups that the process runs as.

use crate::Code;
use crate::compiler::Compiler;
use crate::mappings::Ids;
use crate::namespaces::Membership;
use orlop_program::Step;
use orlop_spec::{NamespaceKind, Pointer, User};

/// The file mode creation mask where the config has none.
const UMASK: u32 = 0o022;

impl Compiler<'_> {
    /// Becomes the user. `added`: in a container that exists.
    pub(crate) fn identity(&mut self, user: &User, added: bool) {
        self.must_be_mapped(Ids::User, user.uid, &Pointer::new("/process/user/uid"));
        self.must_be_mapped(Ids::Group, user.gid, &Pointer::new("/process/user/gid"));
        for (id, field) in [(user.uid, "/process/user/uid"), (user.gid, "/process/user/gid")] {
            if id == u32::MAX {
                let message = format!("{id} is no id: the kernel takes it for \"unchanged\"");
                self.error(Code::User, Pointer::new(field), message);
            }
        }
        let umask = user.umask.unwrap_or(UMASK);
        if umask > 0o777 {
            let message = format!("the umask {umask:#o} has more than permission bits");
            self.error(Code::User, Pointer::new("/process/user/umask"), message)
                .hint(format!("JSON numbers are decimal: {UMASK:#o} is written {UMASK}"));
        }
        let groups = self.groups(user, added);
        let step = Step::Identity { uid: user.uid, gid: user.gid, groups: groups.as_deref(), umask };
        let why = "After everything that takes root, and groups first: a user without privileges cannot change them.";
        self.step(step, Pointer::new("/process/user"), why);
    }

    /// The supplementary groups, as the step has them. Always set, even to none: the caller's must not come along,
    /// unless an annotation says so.
    fn groups(&mut self, user: &User, added: bool) -> Option<Vec<u8>> {
        if let Some(pointer) = self.keeps_groups() {
            if !user.additional_gids.is_empty() {
                let message = "the caller's groups are kept, so those of the config are not added";
                self.warn(Code::AnnotationIgnored, Pointer::new("/process/user/additionalGids"), message);
            }
            self.note(Code::Groups, pointer, "the process keeps the caller's supplementary groups");
            return None;
        }
        let joins = added || self.namespaces.of(&NamespaceKind::User) != Membership::New;
        if user.additional_gids.is_empty() && joins && self.in_user_namespace() {
            let why = "Whether the user namespace that was joined denies setgroups(2) shows only inside.";
            self.step(Step::DropGroups {}, Pointer::new("/process/user"), why);
            return None;
        }
        if self.setgroups_denied() {
            // To be in the primary group once more changes nothing.
            let others = user.additional_gids.iter().enumerate().find(|(_, gid)| **gid != user.gid);
            if let Some((index, gid)) = others {
                let message = format!("group {gid} cannot be added: this user namespace denies setgroups(2)");
                self.error(Code::Groups, Pointer::new("/process/user/additionalGids/{}").at(index), message)
                    .hint("map more group ids with newgidmap(1), or leave out additionalGids");
            }
            return None;
        }
        let mut groups = Vec::with_capacity(4 * user.additional_gids.len());
        for (index, gid) in user.additional_gids.iter().enumerate() {
            self.must_be_mapped(Ids::Group, *gid, &Pointer::new("/process/user/additionalGids/{}").at(index));
            groups.extend_from_slice(&gid.to_ne_bytes());
        }
        Some(groups)
    }
}

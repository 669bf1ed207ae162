//! Names of users and groups, as the image's `/etc/passwd` and `/etc/group` have them.
//!
//! The rules are those of Docker and runc: a number is a number and never a name (CVE-2016-3697), a number that is not in
//! the file has the group 0, and supplementary groups are those of the user, unless a group is asked for.

use orlop_spec::User;

use crate::error::{Error, Result};
use crate::tree::Tree;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// Longer ones are nobody's; they come from the image.
const LONGEST: u64 = 16 << 20;

/// The ids for `user`, `uid`, `user:group` and so on, with further groups.
pub(crate) fn find(tree: &Tree, text: &str, groups: &[String]) -> Result<User> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let passwd = lines(tree, PASSWD)?;
    let group_file = lines(tree, GROUP)?;
    let account = account(&passwd, user)?;
    let mut found = User { uid: account.uid, gid: account.gid, ..User::default() };
    if let Some(group) = group {
        found.gid = group_id(&group_file, group)?;
    } else {
        let member = |group: &&Group| group.members.contains(&account.name.as_str());
        let of_user = parse_groups(&group_file);
        found.additional_gids = of_user.iter().filter(member).map(|group| group.gid).collect();
    }
    for group in groups {
        let gid = group_id(&group_file, group)?;
        if !found.additional_gids.contains(&gid) {
            found.additional_gids.push(gid);
        }
    }
    Ok(found)
}

struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

/// The account with this name or number; an empty one is root's.
fn account(passwd: &[String], user: &str) -> Result<Account> {
    let number = number(if user.is_empty() { "0" } else { user })?;
    for line in passwd {
        let mut fields = line.split(':');
        let (Some(name), Some(_), Some(uid), Some(gid)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else { continue };
        if number.map_or(name == user, |number| uid == number) {
            return Ok(Account { name: name.into(), uid, gid });
        }
    }
    match number {
        Some(uid) => Ok(Account { name: String::new(), uid, gid: 0 }),
        None => Err(Error::User { what: "user", name: user.into(), file: PASSWD }),
    }
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: Vec<&'a str>,
}

fn parse_groups(lines: &[String]) -> Vec<Group<'_>> {
    let groups = lines.iter().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, gid) = (fields.next()?, fields.nth(1)?.parse().ok()?);
        let members = fields.next().unwrap_or_default().split(',').filter(|name| !name.is_empty());
        Some(Group { name, gid, members: members.collect() })
    });
    groups.collect()
}

fn group_id(lines: &[String], group: &str) -> Result<u32> {
    if let Some(number) = number(group)? {
        return Ok(number);
    }
    let found = parse_groups(lines).into_iter().find(|there| there.name == group);
    found.map(|group| group.gid).ok_or_else(|| Error::User { what: "group", name: group.into(), file: GROUP })
}

/// The number that this is, if it is one.
fn number(text: &str) -> Result<Option<u32>> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse() {
        // The last one is "nobody in particular" to the kernel.
        Err(_) | Ok(u32::MAX) => Err(Error::usage(format!("id {text}"), "it is out of range")),
        Ok(number) => Ok(Some(number)),
    }
}

/// The lines of a file of the image, none if it has no such file.
fn lines(tree: &Tree, path: &'static str) -> Result<Vec<String>> {
    let bytes = tree.read(path, LONGEST)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).lines().map(|line| line.trim().to_owned()).collect())
}

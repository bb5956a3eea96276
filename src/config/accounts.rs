//! Users and groups of this machine: as an operator writes them, and looked up.
//!
//! Looked up at the start and at each reload and nowhere else, by glibc, so
//! that LDAP and the like count as much as `/etc/passwd` (nsswitch.conf(5)).

use std::io;

use nix::unistd;
use toml::de::DeValue;

use super::entry::Group;
use super::value::{Value, Wrong};

/// What the kernel says of a user or group that has no number in the daemon's
/// user namespace (user_namespaces(7)). It could be anybody, so it is nobody.
const OVERFLOW_ID: u32 = 65534;

/// A user or a group as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Account {
    /// By its number.
    Number(u32),
    /// By its name.
    Name(String),
}

/// `user` or `uid`.
#[derive(Debug, Clone)]
pub(super) struct UserAccount(pub(super) Account);

/// `group` or `gid`.
#[derive(Debug, Clone)]
pub(super) struct GroupAccount(pub(super) Account);

impl Value for UserAccount {
    const EXPECTED: &'static str = "the name of a user in quotes, or its number without";

    fn from_toml(value: &DeValue<'_>) -> Result<UserAccount, Wrong> {
        account(value).map(UserAccount)
    }
}

impl Value for GroupAccount {
    const EXPECTED: &'static str = "the name of a group in quotes, or its number without";

    fn from_toml(value: &DeValue<'_>) -> Result<GroupAccount, Wrong> {
        account(value).map(GroupAccount)
    }
}

impl UserAccount {
    /// The user's number. One that is written needs to have no name here: a
    /// container's users have none.
    ///
    /// # Errors
    /// There is no such user, or it can't be one client's.
    pub(super) fn look_up(&self) -> Result<u32, Wrong> {
        let uid = match &self.0 {
            Account::Number(uid) => *uid,
            Account::Name(name) => match unistd::User::from_name(name) {
                Ok(Some(user)) => user.uid.as_raw(),
                Ok(None) => return Err(unknown("user", name, "passwd")),
                Err(error) => return Err(failed("user", &self.0, error)),
            },
        };
        somebody("user", &self.0, uid)
    }
}

impl GroupAccount {
    /// The group's number, and the numbers of those whom the group database
    /// lists as its members: the kernel tells only a peer's primary group.
    ///
    /// # Errors
    /// There is no such group, or it can't be one client's.
    pub(super) fn look_up(&self) -> Result<Group, Wrong> {
        let fail = |error| failed("group", &self.0, error);
        let found = match &self.0 {
            Account::Number(gid) => unistd::Group::from_gid((*gid).into()),
            Account::Name(name) => unistd::Group::from_name(name),
        };
        let (gid, names) = match (found.map_err(fail)?, &self.0) {
            (Some(group), _) => (group.gid.as_raw(), group.mem),
            (None, Account::Number(gid)) => (*gid, Vec::new()),
            (None, Account::Name(name)) => return Err(unknown("group", name, "group")),
        };
        let gid = somebody("group", &self.0, gid)?;
        let mut members = Vec::new();
        for name in names {
            // A user who is gone often stays in its groups.
            let user = unistd::User::from_name(&name).map_err(fail)?;
            members.extend(user.map(|user| user.uid.as_raw()));
        }
        members.retain(|uid| *uid != OVERFLOW_ID);
        members.sort_unstable();
        members.dedup();
        Ok(Group { gid, members })
    }
}

impl Account {
    /// As it is written in the file.
    pub(super) fn shown(&self) -> String {
        match self {
            Account::Number(number) => number.to_string(),
            Account::Name(name) => toml::Value::from(name.as_str()).to_string(),
        }
    }
}

fn account(value: &DeValue<'_>) -> Result<Account, Wrong> {
    match value {
        DeValue::String(name) if name.is_empty() || name.contains(['\0', ':', '\n']) => {
            Err(Wrong::text(name))
        }
        DeValue::String(name) => Ok(Account::Name(name.to_string())),
        DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix())
            .ok()
            // (uid_t)-1 means "no user" to the kernel.
            .filter(|number| *number != u32::MAX)
            .map(Account::Number)
            .ok_or_else(|| Wrong::described(number.to_string())),
        other => Err(Wrong::kind(other)),
    }
}

fn somebody(what: &str, account: &Account, id: u32) -> Result<u32, Wrong> {
    if id != OVERFLOW_ID {
        return Ok(id);
    }
    Err(Wrong::described(format!(
        "{}, which stands for every {what} that the kernel does not tell",
        account.shown()
    ))
    .help("give these programs a user or a group of their own; see PrivateUsers= in upstreamd(8)"))
}

fn unknown(what: &str, name: &str, database: &str) -> Wrong {
    let wrong = Wrong::described(format!(
        "{}, and no {what} has this name",
        Wrong::text(name).found
    ));
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return wrong.help(format!("a number stands without quotes: {name}"));
    }
    wrong.help(format!("`getent {database}` shows those that there are"))
}

fn failed(what: &str, account: &Account, error: nix::errno::Errno) -> Wrong {
    let error = io::Error::from(error);
    Wrong::described(format!(
        "{}, and {what}s can't be looked up ({error})",
        account.shown()
    ))
    .help("see nsswitch.conf(5); a number needs no look-up")
}

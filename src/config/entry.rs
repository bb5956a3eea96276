//! Who may come in, and by which listener: the checked form of
//! `[client.NAME]` and `[listener.NAME]`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::glob::Glob;
use super::store::ClientLimits;

/// `[client.NAME]`: a program that may come in. Each thing that is set
/// identifies it; there is one at least.
#[derive(Clone)]
pub struct Client {
    /// The name in the configuration.
    pub name: String,
    /// SHA-256 of the bearer key that it may present.
    pub key_sha256: Option<[u8; 32]>,
    /// The user that it runs as, if it comes by a Unix socket.
    pub user: Option<u32>,
    /// The group that it runs in, if it comes by a Unix socket.
    pub group: Option<Group>,
    /// The models that it may ask for. None: all.
    pub models: Option<Vec<Glob>>,
    /// The endpoints that it may use. None: all.
    pub endpoints: Option<Vec<Glob>>,
    /// How much it may ask for. None: any number.
    pub limits: Option<ClientLimits>,
}

/// A group of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub gid: u32,
    /// The users that the group database lists as its members, in order.
    pub members: Vec<u32>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, key hidden)", self.name)
    }
}

/// Who is at the other end of a Unix socket: SO_PEERCRED in unix(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The user that it ran as when it connected.
    pub uid: u32,
    /// The primary group that it ran in when it connected.
    pub gid: u32,
}

/// Which connections have to be of a client that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequireKey {
    /// All.
    Always,
    /// Those by TCP; a Unix socket's file says by its mode who may connect.
    Tcp,
    /// None.
    Never,
}

/// Who may come in by a listener: `[listener.NAME]`, or what holds without.
#[derive(Debug, Clone)]
pub struct Listener {
    /// The clients that are known here, in the order of their names.
    pub clients: Vec<Arc<Client>>,
    /// Who has to be one of them.
    pub require_key: RequireKey,
}

/// What holds for each listener.
#[derive(Debug)]
pub struct Listeners {
    /// Those that have a `[listener.NAME]`, by the socket's name.
    pub named: BTreeMap<String, Listener>,
    /// What holds for all others.
    pub others: Listener,
}

impl Listeners {
    /// Who may come in by the listener called `name`.
    #[must_use]
    pub fn of(&self, name: &str) -> &Listener {
        self.named.get(name).unwrap_or(&self.others)
    }
}

impl Listener {
    /// Whether whoever connects has to be a client that is known.
    #[must_use]
    pub fn is_guarded(&self, by_tcp: bool) -> bool {
        match self.require_key {
            RequireKey::Always => true,
            RequireKey::Tcp => by_tcp,
            RequireKey::Never => false,
        }
    }

    /// The client whose program is at the other end of a Unix socket. If
    /// several are: a user before a group, a primary group before one that
    /// lists the user, then the first name.
    #[must_use]
    pub fn client_of(&self, peer: Peer) -> Option<&Client> {
        let find = |is: &dyn Fn(&Client) -> bool| {
            let mut clients = self.clients.iter().map(Arc::as_ref);
            clients.find(|client| is(client))
        };
        let in_group =
            |is: &dyn Fn(&Group) -> bool| find(&|client| client.group.as_ref().is_some_and(is));
        find(&|client| client.user == Some(peer.uid))
            .or_else(|| in_group(&|group| group.gid == peer.gid))
            .or_else(|| in_group(&|group| group.members.binary_search(&peer.uid).is_ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str, user: Option<u32>, group: Option<(u32, &[u32])>) -> Arc<Client> {
        Arc::new(Client {
            name: name.into(),
            key_sha256: None,
            user,
            group: group.map(|(gid, members)| Group {
                gid,
                members: members.into(),
            }),
            models: None,
            endpoints: None,
            limits: None,
        })
    }

    #[test]
    fn a_user_counts_before_a_group_and_a_primary_group_before_membership() {
        let listener = Listener {
            clients: vec![
                client("a-listed", None, Some((10, &[1, 2, 3]))),
                client("b-primary", None, Some((20, &[]))),
                client("c-user", Some(1), None),
                client("d-both", Some(5), Some((30, &[3]))),
            ],
            require_key: RequireKey::Always,
        };
        for (uid, gid, expected) in [
            (1, 20, Some("c-user")),
            (2, 20, Some("b-primary")),
            (2, 2, Some("a-listed")),
            (3, 3, Some("a-listed")),
            (3, 30, Some("d-both")),
            (5, 10, Some("d-both")),
            (9, 10, Some("a-listed")),
            (9, 9, None),
            // A group's number is no user's.
            (20, 9, None),
        ] {
            let found = listener.client_of(Peer { uid, gid });
            let found = found.map(|client| client.name.as_str());
            assert_eq!(found, expected, "{uid}:{gid}");
        }
    }
}

//! Which operating-system account a server runs as: database servers refuse to run as root, and CI containers are root.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// An unprivileged account to start a server under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The package's own account when we are root; `None` when we are somebody else and simply run the server as ourselves.
    pub(crate) fn for_server(name: &str) -> Option<Account> {
        if current_uid() != 0 {
            return None;
        }
        let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
        Some(parse_passwd(&passwd, name).unwrap_or_else(|| {
            panic!("running as root, and the account `{name}` to start the server under does not exist; install the server's package")
        }))
    }

    /// Makes `command` run under this account.
    pub(crate) fn apply(self, command: &mut Command) {
        command.gid(self.gid).uid(self.uid);
    }

    /// Hands `path` to this account.
    pub(crate) fn own(self, path: &Path) {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .unwrap_or_else(|e| panic!("hand {} to the server's account: {e}", path.display()));
    }
}

/// The effective user id: the owner of our own `/proc` entry, which needs no `unsafe`.
pub(crate) fn current_uid() -> u32 {
    std::fs::metadata("/proc/self").expect("/proc is mounted").uid()
}

fn parse_passwd(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next() == Some(name);
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        found.then_some(Account { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:105:109::/var:/bin/bash\n";
        assert_eq!(parse_passwd(passwd, "postgres"), Some(Account { uid: 105, gid: 109 }));
        assert_eq!(parse_passwd(passwd, "mysql"), None);
    }
}

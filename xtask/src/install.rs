//! Installs what the tests need and is not there: database servers and cargo's own components.

use anyhow::{Result, bail};

use crate::command::{is_installed, must, program, succeeds};

/// A Debian package and a way to tell that it is there.
struct Need {
    package: &'static str,
    is_met: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need { package: "postgresql", is_met: has_postgres },
    Need { package: "mariadb-server", is_met: || is_installed("mariadbd") && is_installed("mariadb-install-db") },
    Need { package: "mariadb-client", is_met: || is_installed("mariadb") },
    Need { package: "pgbouncer", is_met: || is_installed("pgbouncer") },
];

/// Keeps the packages from starting servers of their own, where nobody has decided about that yet; `$@` are the packages.
const SCRIPT: &str = r#"
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends "$@"
"#;

/// Makes sure that everything the tests need is there.
pub(crate) fn ensure() -> Result<()> {
    components()?;
    let missing: Vec<&str> = NEEDS.iter().filter(|need| !(need.is_met)()).map(|need| need.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("installing {}", missing.join(", "));
    if !is_installed("apt-get") {
        bail!("the tests need {}; there is no apt-get here, so install them by hand and run again", missing.join(", "));
    }
    let mut install = if is_root()? {
        program("sh", &["-c", SCRIPT, "install"])
    } else if is_installed("sudo") {
        program("sudo", &["-n", "sh", "-c", SCRIPT, "install"])
    } else {
        bail!("the tests need {}; run as root: apt-get install {}", missing.join(", "), missing.join(" "));
    };
    if !succeeds(install.args(&missing).stdin(std::process::Stdio::null()))? {
        bail!("the tests need {}, and installing them failed; install them by hand and run again", missing.join(", "));
    }
    Ok(())
}

/// A minimal toolchain comes without these two.
fn components() -> Result<()> {
    let missing: Vec<&str> = [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")]
        .into_iter()
        .filter(|(tool, _)| !is_installed(tool))
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() || !is_installed("rustup") {
        return Ok(());
    }
    must(program("rustup", &["component", "add"]).args(missing))
}

fn is_root() -> Result<bool> {
    Ok(crate::command::output(&mut program("id", &["-u"]))?.trim() == "0")
}

/// Debian keeps the server out of the PATH, one directory per version.
fn has_postgres() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin/initdb")).any(|initdb| initdb.is_file()) || is_installed("initdb")
}

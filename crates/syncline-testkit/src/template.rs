//! Initialised data directories, built once and copied for every start: `initdb` takes seconds, a copy takes milliseconds.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::current_uid;
use crate::process::Home;

/// Raise when what a template contains changes, so that old copies are not used.
const LAYOUT: u32 = 2;

/// Fills `home/data` with a copy of the template `name`; `build` makes the template's `data` in a home of its own when there is none yet.
pub(crate) fn fill(home: &Home, name: &str, build: impl FnOnce(&Home)) {
    let cached = cache_dir().join(format!("{name}-v{LAYOUT}-uid{}", current_uid()));
    if !cached.is_dir() {
        let workshop = Home::create(home.account());
        build(&workshop);
        publish(&workshop.data(), &cached);
        workshop.remove();
    }
    copy(&cached, &home.data());
}

/// Copies next to the final place and renames, so that two test processes building at once both end up with a whole template.
fn publish(built: &Path, cached: &Path) {
    std::fs::create_dir_all(cache_dir()).expect("create target/testkit");
    let draft = cached.with_extension(format!("draft-{}-{}", std::process::id(), crate::port::unique_name()));
    copy(built, &draft);
    if std::fs::rename(&draft, cached).is_err() {
        assert!(cached.is_dir(), "publish the server template {}", cached.display());
        std::fs::remove_dir_all(&draft).expect("remove a template draft that lost the race");
    }
}

/// `cp -a` keeps owner and mode, which `initdb` and the servers insist on.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").args(["-a", "--reflink=auto", "--"]).arg(from).arg(to).status().expect("run cp");
    assert!(status.success(), "copy {} to {}", from.display(), to.display());
}

fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testkit")
}

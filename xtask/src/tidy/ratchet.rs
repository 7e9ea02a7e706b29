//! What is too long today is listed with its size in `xtask/ratchet.txt`, and may only shrink.

use anyhow::{Result, bail};

use super::Problems;
use super::size::Offenders;

/// Whether blessing may list something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Growth {
    Refused,
    Allowed,
}

const HEADER: &str = "\
# Files and functions over the limits of docs/style.md, with their lines. They may only shrink:
# `cargo xtask tidy --bless` writes smaller numbers and drops what is mended, and refuses anything new.
";

/// Nothing new is too long, nothing listed has grown, and what has shrunk is listed with its new size.
pub(crate) fn check(offenders: &Offenders, listed: &str) -> Problems {
    let listed = parse(listed);
    let mut problems = grown(offenders, &listed);
    for (name, before) in &listed {
        match offenders.get(name) {
            None => problems.push(format!("{name} is mended: drop it from the list with `cargo xtask tidy --bless`")),
            Some(now) if now < before => {
                problems.push(format!("{name} shrank from {before} to {now} lines: hold that with `cargo xtask tidy --bless`"));
            }
            Some(_) => {}
        }
    }
    problems
}

/// The new text of the list.
pub(crate) fn bless(offenders: &Offenders, listed: &str, growth: Growth) -> Result<String> {
    let grown = grown(offenders, &parse(listed));
    if growth == Growth::Refused && !grown.is_empty() {
        bail!("{}\nsplit them; `--allow-new` is for a reason that the review has heard", grown.join("\n"));
    }
    let lines: String = offenders.iter().map(|(name, lines)| format!("{name} {lines}\n")).collect();
    Ok(format!("{HEADER}{lines}"))
}

fn grown(offenders: &Offenders, listed: &Offenders) -> Problems {
    offenders
        .iter()
        .filter_map(|(name, now)| match listed.get(name) {
            None => Some(format!("{name} has {now} lines: split it")),
            Some(before) if now > before => Some(format!("{name} grew from {before} to {now} lines: split it")),
            Some(_) => None,
        })
        .collect()
}

fn parse(listed: &str) -> Offenders {
    let lines = listed.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).filter_map(|(name, lines)| Some((name.to_owned(), lines.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offenders(pairs: &[(&str, usize)]) -> Offenders {
        pairs.iter().map(|(name, lines)| ((*name).to_owned(), *lines)).collect()
    }

    #[test]
    fn the_list_may_only_shrink() {
        let listed = "# comment\nfile a.rs 900\nfn b.rs::f 80\n";
        assert!(check(&offenders(&[("file a.rs", 900), ("fn b.rs::f", 80)]), listed).is_empty());
        assert_eq!(check(&offenders(&[("file a.rs", 901), ("fn b.rs::f", 80)]), listed).len(), 1, "grown");
        assert_eq!(check(&offenders(&[("file a.rs", 900)]), listed).len(), 1, "mended");
        assert_eq!(check(&offenders(&[("file a.rs", 850), ("fn b.rs::f", 80)]), listed).len(), 1, "shrunk");
        assert_eq!(check(&offenders(&[("file a.rs", 900), ("fn b.rs::f", 80), ("file c.rs", 801)]), listed).len(), 1, "new");
    }

    #[test]
    fn blessing_refuses_what_is_new_unless_told() {
        let new = offenders(&[("file a.rs", 801)]);
        assert!(bless(&new, "", Growth::Refused).is_err());
        let text = bless(&new, "", Growth::Allowed).expect("allowed");
        assert_eq!(parse(&text), new);
        assert_eq!(bless(&Offenders::new(), &text, Growth::Refused).expect("smaller"), HEADER);
    }
}

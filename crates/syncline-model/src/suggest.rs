//! "Did you mean …?" for names in configurations.

/// The candidate that `name` is most likely a slip of; `None` when nothing is near.
#[must_use]
pub fn closest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // 0.75 lets one or two slips pass in names of ordinary length and keeps `id` from being suggested for `name`.
    const LIKENESS_MIN: f64 = 0.75;
    let wanted = name.to_lowercase();
    let likeness = |c: &str| strsim::jaro_winkler(&wanted, &c.to_lowercase());
    let scored = candidates.into_iter().map(|c| (likeness(c), c));
    scored.filter(|(score, _)| *score >= LIKENESS_MIN).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_finds_nothing() {
        let columns = ["film_id", "title", "last_update"];
        assert_eq!(closest("titel", columns), Some("title"));
        assert_eq!(closest("FILM_ID", columns), Some("film_id"));
        assert_eq!(closest("zzz", columns), None);
    }
}

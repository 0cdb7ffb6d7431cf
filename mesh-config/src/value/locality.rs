//! Localities, `region/zone/subzone`, as rules about them list them.

/// Checks a list of localities. A part that is left out, or a `*` at the end, stands for everything below; what an earlier
/// entry covers must not come again. A wider entry may follow narrower ones, since the first that fits counts.
///
/// # Errors
/// Istio's text, with the place in the list.
pub fn check_localities<'l>(localities: impl IntoIterator<Item = &'l str>) -> Result<(), (usize, String)> {
    let mut earlier: Vec<&str> = Vec::new();
    for (index, locality) in localities.into_iter().enumerate() {
        check_locality(locality).map_err(|problem| (index, problem))?;
        if earlier.iter().any(|earlier| overlaps(earlier, locality)) {
            return Err((index, format!("locality {locality} overlap with previous specified ones")));
        }
        earlier.push(locality);
    }
    Ok(())
}

fn check_locality(locality: &str) -> Result<(), String> {
    let stars = locality.matches('*').count();
    if stars > 1 || (stars == 1 && !locality.ends_with('*')) {
        return Err(format!("locality {locality} wildcard '*' number can not exceed 1 and must be in the end"));
    }
    if locality.splitn(3, '/').any(str::is_empty) {
        return Err(format!("locality {locality} must not contain empty region/zone/subzone info"));
    }
    Ok(())
}

/// Whether an entry has a place in common with an earlier one. A star of the later entry covers what is left over.
fn overlaps(earlier: &str, later: &str) -> bool {
    let earlier = earlier.splitn(3, '/').take_while(|part| *part != "*");
    earlier.zip(later.splitn(3, '/')).all(|(earlier, later)| earlier == later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_locality_covers_must_not_come_again() {
        for (list, valid) in [
            (&["a/b/c", "a/b/d", "a/c", "b"][..], true),
            (&["*", "a"], false),
            (&["a", "a/b/c"], false),
            (&["a/b/c", "a"], false),
            (&["a/*", "a/b/c"], false),
            (&["a/b", "a/b/c"], false),
            (&["a/b/*", "a/b/c"], false),
            (&["a/b/c", "a/b/c"], false),
        ] {
            assert_eq!(check_localities(list.iter().copied()).is_ok(), valid, "{list:?}");
        }
    }

    #[test]
    fn the_rest_may_come_last() {
        for list in [&["a/b/c", "a/b/*", "a/*", "*"][..], &["a", "*"]] {
            assert_eq!(check_localities(list.iter().copied()), Ok(()), "{list:?}");
        }
    }

    #[test]
    fn a_star_stands_at_the_end_and_no_part_is_empty() {
        for bad in ["*/zone", "a/*/*", "a*b", "", "a/", "a//c", "/b"] {
            assert_eq!(check_localities([bad]).map_err(|(index, _)| index), Err(0), "{bad}");
        }
        assert_eq!(check_localities(["a", "b/"]).map_err(|(index, _)| index), Err(1));
    }
}

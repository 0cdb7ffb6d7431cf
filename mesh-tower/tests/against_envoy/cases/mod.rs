//! The cases by subject.

mod actions;
mod balance;
mod ejections;
mod faults;
mod hashing;
mod limits;
mod places;
mod retries;
mod timeouts;

use crate::case::Case;

/// Numbers of cases, which stand in addresses too.
const FIRST: u8 = 1;

/// All of them, each with a number of its own.
pub(crate) fn all() -> Vec<Case> {
    let subjects = [
        ejections::cases(),
        limits::cases(),
        timeouts::cases(),
        retries::cases(),
        hashing::cases(),
        balance::cases(),
        places::cases(),
        faults::cases(),
        actions::cases(),
    ];
    let cases = subjects.into_iter().flatten().zip(FIRST..);
    let cases: Vec<Case> = cases.map(|(case, number)| Case { number, ..case }).collect();
    assert!(cases.len() < 99, "addresses have place for that many");
    cases
}

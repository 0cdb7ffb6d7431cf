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
    subjects.into_iter().flatten().zip(0..).map(|(case, number)| Case { number, ..case }).collect()
}

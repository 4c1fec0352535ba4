//! What every run is judged by.

pub(crate) mod canonical;
pub(crate) mod reference;

use jiff::Timestamp;

use crate::{record::State, store::Commit};

/// Somebody who knows what must hold at every instant. One is made for each run; a closure of these arguments is one, too.
pub trait Judge: Send {
    /// Takes in a commit and the state that it made; returns what it breaks.
    fn see(&mut self, commit: &Commit, state: &State) -> Vec<String>;

    /// What does not hold, now that nothing moves any more.
    fn settled(&mut self, _now: Timestamp, _state: &State) -> Vec<String> {
        Vec::new()
    }
}

impl<F: FnMut(&Commit, &State) -> Vec<String> + Send> Judge for F {
    fn see(&mut self, commit: &Commit, state: &State) -> Vec<String> {
        self(commit, state)
    }
}

//! How the program in a container behaves.

use std::time::Duration;

use crate::actor::agenda::Span;

/// How the program in a container behaves.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// So long after its start it is ready; `None`: never.
    pub(super) readies: Option<Span>,
    /// So long after its start it ends, with this code; `None`: it does not.
    pub(super) exits: Option<(Duration, i32)>,
    pub(super) is_pullable: bool,
}

impl Behaviour {
    /// Runs, and is ready so long after its start.
    pub fn ready_after(span: Span) -> Self {
        Self { readies: Some(span), exits: None, is_pullable: true }
    }

    /// Runs, and is never ready.
    pub fn never_ready() -> Self {
        Self { readies: None, exits: None, is_pullable: true }
    }

    /// Ends with an error as soon as it is started.
    pub fn crash_loops() -> Self {
        Self { exits: Some((Duration::ZERO, 1)), ..Self::never_ready() }
    }

    /// Its image is not to be had.
    pub fn image_missing() -> Self {
        Self { is_pullable: false, ..Self::never_ready() }
    }

    /// The same, but it ends so long after each start.
    #[must_use]
    pub fn exiting_after(self, runs: Duration, code: i32) -> Self {
        Self { exits: Some((runs, code)), ..self }
    }
}

//! The decisions that both controllers share: pure.

pub(crate) mod claim;
pub(crate) mod problem;

//! What a fault may come to that nothing comes to without it.

/// Something that does not count against anybody under a fault; everything else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// Another end than without faults: no state is compared, and what is created and deleted is counted by kind, not by
    /// name.
    AnotherEnd,
    /// More creations, and deletions, under each name: of each resource, as in `replicasets`, so many.
    More(&'static [(&'static str, usize)]),
}

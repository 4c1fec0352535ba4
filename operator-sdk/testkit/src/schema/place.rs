//! Where a value lies within an object: written out only where something is said of it.

use std::fmt;

/// A way from an object to a value within it, as in `spec.containers[0].name`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// The object itself.
    Root,
    Field(&'a Self, &'a str),
    /// A key of a map, as in `limits[cpu]`.
    Key(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl Place<'_> {
    pub(crate) fn is_root(&self) -> bool {
        matches!(self, Self::Root)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => formatter.write_str(name),
            Self::Field(outer, name) => write!(formatter, "{outer}.{name}"),
            Self::Key(outer, key) => write!(formatter, "{outer}[{key}]"),
            Self::Item(outer, index) => write!(formatter, "{outer}[{index}]"),
        }
    }
}

impl From<&Place<'_>> for String {
    fn from(place: &Place<'_>) -> Self {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_place_is_written_as_the_server_writes_it() {
        let spec = Place::Field(&Place::Root, "spec");
        let item = Place::Item(&spec, 0);
        assert_eq!(Place::Root.to_string(), "");
        assert_eq!(Place::Field(&item, "name").to_string(), "spec[0].name");
        assert_eq!(Place::Key(&spec, "cpu").to_string(), "spec[cpu]");
    }
}

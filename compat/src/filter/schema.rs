//! What may be asked of a record: its fields and their kinds.

/// The fields that an expression may select in a record of some type.
#[derive(Debug)]
pub struct Schema {
    /// The fields at the top of the record.
    pub fields: &'static [Field],
}

/// A field that may be selected.
#[derive(Debug)]
pub struct Field {
    /// Its name: in expressions as in the record's JSON form, for they agree in every list that can be filtered.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a field holds. A field that is absent from a record's JSON form, or null there, holds its kind's zero value.
#[derive(Debug)]
pub enum Kind {
    /// A string; zero is the empty one.
    Text,
    /// A boolean; zero is false.
    Bool,
    /// A signed number of 64 bits; zero is 0.
    Int,
    /// An unsigned number up to this greatest value; zero is 0.
    Uint(u64),
    /// An IP address, printed as text and asked as a list of its bytes (four for IPv4); zero has none.
    Octets,
    /// Strings; zero has none.
    Texts,
    /// A map from strings to values of one kind; zero has no keys.
    Map(&'static Self),
    /// A record inside the record; zero has all its fields zero.
    Record(&'static [Field]),
    /// Records; selecting a field in them asks for any of them. Zero has none.
    Records(&'static [Field]),
}

impl Field {
    /// A field of that name and kind.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
    }
}

/// One step from a record towards what an expression selects.
#[derive(Debug)]
pub(super) enum Step {
    /// To this field of a record.
    Field(&'static str),
    /// To any of the records in a list.
    Any,
    /// To this key of a map.
    Key(String),
}

/// What a selector stands for.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) steps: Vec<Step>,
    pub(super) kind: &'static Kind,
}

impl Schema {
    /// Follows the names of a selector (of which there is at least one).
    ///
    /// # Errors
    /// The number of names up to and including the first that cannot be followed.
    pub(super) fn select(&'static self, path: &[String]) -> Result<Selected, usize> {
        let mut steps = Vec::with_capacity(path.len());
        let mut place = Inside::Fields(self.fields);
        let mut reached: Option<&'static Kind> = None;
        for (before, name) in path.iter().enumerate() {
            if matches!(reached, Some(Kind::Records(_))) {
                steps.push(Step::Any);
            }
            let (step, kind) = place.step(name).ok_or(before + 1)?;
            steps.push(step);
            place = kind.inside();
            reached = Some(kind);
        }
        reached.map(|kind| Selected { steps, kind }).ok_or(path.len())
    }
}

/// What can be selected further inside a kind.
enum Inside {
    Fields(&'static [Field]),
    Keys(&'static Kind),
    Nothing,
}

impl Inside {
    fn step(&self, name: &str) -> Option<(Step, &'static Kind)> {
        match self {
            Self::Fields(fields) => {
                let field = fields.iter().find(|field| field.name == name)?;
                Some((Step::Field(field.name), &field.kind))
            }
            Self::Keys(kind) => Some((Step::Key(name.to_owned()), kind)),
            Self::Nothing => None,
        }
    }
}

impl Kind {
    fn inside(&'static self) -> Inside {
        match self {
            Self::Record(fields) | Self::Records(fields) => Inside::Fields(fields),
            Self::Map(kind) => Inside::Keys(kind),
            Self::Text | Self::Bool | Self::Int | Self::Uint(_) | Self::Octets | Self::Texts => {
                Inside::Nothing
            }
        }
    }
}

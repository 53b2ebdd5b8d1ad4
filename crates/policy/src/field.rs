//! The field registry: what a condition or an output can ask of an event.
//!
//! One table ([`FIELDS`]) says for each field its name, type, argument, how many values it has, for
//! which events it exists, what it costs, which dimension of the kernel's classifier it belongs to and whether the
//! sensor fills it yet. Type checking, the field reference and the kernel plan all come from it.

mod name;
mod table;

pub use name::{FieldArg, FieldName, FieldNameError};
pub use table::{FIELDS, FieldId};

use crate::event_type::{EventType, EventTypes};

/// The type of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Text, as bytes: names and paths need not be UTF-8.
    String,
    /// Raw bytes, such as a buffer read from a socket.
    Bytes,
    /// True or false.
    Bool,
    /// An unsigned number.
    Uint,
    /// A signed number.
    Int,
    /// A number with a fraction.
    Float,
    /// An IPv4 or IPv6 address.
    Ip,
    /// An address, compared with networks.
    Net,
    /// A port number.
    Port,
    /// A point in time: nanoseconds since 1970, UTC.
    Time,
    /// A length of time in nanoseconds.
    Duration,
}

impl FieldType {
    /// Whether values are compared as numbers.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Uint | Self::Int | Self::Float | Self::Port | Self::Time | Self::Duration)
    }

    /// Whether values are compared as strings of bytes.
    pub fn is_text(self) -> bool {
        matches!(self, Self::String | Self::Bytes)
    }

    /// The word for it with its article, for sentences.
    pub fn with_article(self) -> String {
        let word = self.as_str();
        let article = if word.starts_with(['a', 'e', 'i', 'o', 'u', 'I']) { "an" } else { "a" };
        format!("{article} {word}")
    }

    /// The word for it in diagnostics and the reference.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Bool => "bool",
            Self::Uint => "unsigned number",
            Self::Int => "number",
            Self::Float => "fraction",
            Self::Ip => "IP address",
            Self::Net => "network",
            Self::Port => "port",
            Self::Time => "time",
            Self::Duration => "duration (ns)",
        }
    }
}

/// The argument a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ArgKind {
    /// None.
    None,
    /// A level of ancestry, as in `proc.aname[2]`; without it all ancestors are meant.
    Level,
    /// A key that must be given, as in `evt.arg.flags` or `evt.arg[flags]`.
    Key,
    /// A key that may be given, as in `proc.env[PATH]`.
    OptionalKey,
}

/// How many values a field has, and what that does to a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Multiplicity {
    /// One value, or none.
    One,
    /// The values of all ancestors, when no level is given: a comparison holds if it holds for one of them.
    Ancestors,
    /// Both ends of a connection: `=` and `in` hold for either end, `!=` for both.
    BothEnds,
    /// A list: `in` = every value is in the set, `intersects` = one is.
    List,
}

/// The dimension of the kernel's classifier that a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dimension {
    /// The event type itself.
    Event,
    /// A fact of the process, user, container or pod that the kernel itself knows for certain.
    Identity,
    /// A fact of the subject that user space works out; the kernel holds the result as a mask.
    Subject,
    /// The path.
    Path,
    /// File flags, open modes.
    Flags,
    /// The address.
    Address,
    /// The port.
    Port,
    /// Other arguments of the call, and its result.
    Argument,
    /// Decided in user space only.
    UserSpace,
}

/// For which events a field can have a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Exists {
    /// Every event.
    Always,
    /// Events that open, or act on, a descriptor.
    Descriptors,
    /// Events on sockets.
    Sockets,
    /// Events with path arguments.
    Paths,
    /// Events that move data.
    Buffers,
    /// Name queries.
    Dns,
    /// TLS handshakes.
    Tls,
    /// Flow summaries.
    Flow,
    /// io_uring operations.
    IoUring,
    /// Some, depending on the argument.
    Depends,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct FieldInfo {
    /// Its number.
    #[serde(skip)]
    pub id: FieldId,
    /// Its name in conditions and outputs.
    pub name: &'static str,
    /// The type of its values.
    pub r#type: FieldType,
    /// The argument it takes.
    pub arg: ArgKind,
    /// How many values it has.
    pub multiplicity: Multiplicity,
    /// For which events it can have a value.
    pub exists: Exists,
    /// Its dimension in the kernel's classifier.
    pub dimension: Dimension,
    /// What reading it costs, from 0 (in the record) to 9 (walks and joins).
    pub cost: u8,
    /// Whether the sensor fills it yet.
    pub filled: bool,
    /// What it is.
    pub doc: &'static str,
}

impl FieldId {
    /// The row of the table.
    pub fn info(self) -> &'static FieldInfo {
        &FIELDS[self as usize]
    }

    /// The name in conditions and outputs.
    pub fn name(self) -> &'static str {
        self.info().name
    }
}

impl FieldInfo {
    /// The event types for which the field can have a value.
    pub fn event_types(&self) -> EventTypes {
        use crate::event_type::EventCategory as C;
        let of = |accept: &dyn Fn(EventType) -> bool| {
            EventType::ALL.iter().copied().filter(|t| accept(*t)).collect()
        };
        match self.exists {
            Exists::Always | Exists::Depends | Exists::Descriptors => EventTypes::all(),
            Exists::Sockets => of(&|t| matches!(t.category(), C::Network | C::Io | C::Sensor)),
            Exists::Paths => of(&|t| matches!(t.category(), C::File | C::Process | C::System)),
            Exists::Buffers => of(&|t| matches!(t.category(), C::Network | C::Io)),
            Exists::Dns => of(&|t| t == EventType::Dns),
            Exists::Tls => of(&|t| t == EventType::Tls),
            Exists::Flow => of(&|t| t == EventType::Flow),
            Exists::IoUring => of(&|t| t.by_io_uring()),
        }
    }

    /// Whether values are paths as the kernel resolved them, for which a literal's merged spelling counts too.
    pub fn is_path(&self) -> bool {
        self.dimension == Dimension::Path && self.r#type == FieldType::String
            || matches!(
                self.id,
                FieldId::ProcExepath
                    | FieldId::ProcPexepath
                    | FieldId::ProcAexepath
                    | FieldId::ProcSidExepath
                    | FieldId::ProcVpgidExepath
                    | FieldId::ProcCwd
                    | FieldId::ProcPcwd
            )
    }

    /// The address field whose name this field is: `fd.sip` for `fd.sip.name`.
    pub fn address_of_name(&self) -> Option<FieldId> {
        match self.id {
            FieldId::FdCipName => Some(FieldId::FdCip),
            FieldId::FdSipName => Some(FieldId::FdSip),
            FieldId::FdLipName => Some(FieldId::FdLip),
            FieldId::FdRipName => Some(FieldId::FdRip),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_indexed_by_id_and_names_are_unique() {
        let mut names = std::collections::HashSet::new();
        for (i, field) in FIELDS.iter().enumerate() {
            assert_eq!(field.id as usize, i, "{}", field.name);
            assert!(names.insert(field.name), "{} twice", field.name);
            assert!(field.doc.ends_with('.'), "{}: the doc is a sentence", field.name);
            assert!(field.cost <= 9);
        }
    }
}

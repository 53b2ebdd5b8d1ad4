//! The syntax tree of a condition.

use crate::source::Span;

/// A condition, or a part of one.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it is written.
    pub span: Span,
}

/// The kinds of conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExprKind {
    /// All hold.
    And(Vec<Expr>),
    /// One holds.
    Or(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// The condition of that name.
    Macro(String),
    /// A comparison.
    Check(Check),
}

/// A comparison: `left op right`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is compared.
    pub left: Operand,
    /// How.
    pub op: Op,
    /// For a string operator with a list: how many of its values must match.
    pub quantifier: Option<Quantifier>,
    /// With what.
    pub right: Right,
}

/// A field, or something computed from fields.
#[derive(Debug, Clone)]
pub struct Operand {
    /// What it is.
    pub kind: OperandKind,
    /// Where it is written.
    pub span: Span,
}

/// The kinds of operands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperandKind {
    /// A field such as `proc.aname[2]`.
    Field {
        /// The name without the argument in brackets.
        name: String,
        /// The argument in brackets.
        arg: Option<String>,
    },
    /// A transformer such as `tolower(proc.name)`.
    Call {
        /// Which transformer.
        function: Function,
        /// Its arguments.
        args: Vec<Argument>,
        /// The trailing `[…]`.
        index: Option<String>,
    },
}

/// An argument of a transformer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A field or another transformer.
    Operand(Operand),
    /// A text or a number.
    Literal(Literal),
}

/// The right-hand side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// There is none: `exists`.
    None,
    /// One value.
    Value(Literal),
    /// A list of values in parentheses.
    List(Vec<Literal>),
    /// The value of a field, `val(field)`.
    Field(Operand),
    /// A transformer.
    Call(Operand),
}

/// A value as written.
#[derive(Debug, Clone)]
pub struct Literal {
    /// The bytes meant: quotes and escapes are resolved.
    pub bytes: Vec<u8>,
    /// Where it is written.
    pub span: Span,
}

impl Literal {
    /// The value as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

macro_rules! without_spans {
    ($($type:ident by $field:ident),*) => {$(
        /// Equal when it says the same, wherever it is written.
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.$field == other.$field
            }
        }
        impl Eq for $type {}
    )*};
}
without_spans!(Expr by kind, Operand by kind, Literal by bytes);

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As written in a condition.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The one written so.
            pub fn from_name(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// A comparison operator.
    Op {
        /// The field has a value.
        Exists "exists",
        /// Equal (`=` or `==`).
        Eq "=",
        /// There is a value, and it is another.
        Ne "!=",
        /// Less.
        Lt "<",
        /// Less or equal.
        Le "<=",
        /// Greater.
        Gt ">",
        /// Greater or equal.
        Ge ">=",
        /// Matches a shell pattern, fnmatch(3) without flags.
        Glob "glob",
        /// The same, whatever the case of letters.
        IGlob "iglob",
        /// Contains a text.
        Contains "contains",
        /// The same, whatever the case of letters.
        IContains "icontains",
        /// Contains bytes, given in hex.
        BContains "bcontains",
        /// Begins with a text.
        StartsWith "startswith",
        /// Begins with bytes, given in hex.
        BStartsWith "bstartswith",
        /// Ends with a text.
        EndsWith "endswith",
        /// The whole value matches a regular expression.
        Regex "regex",
        /// Every value is in the list.
        In "in",
        /// A value is in the list.
        Intersects "intersects",
        /// The value lies at or below one of the paths.
        PMatch "pmatch",
    }
}

impl Op {
    /// Whether the right-hand side is a list.
    pub fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::Intersects | Self::PMatch)
    }

    /// Whether it compares numbers only.
    pub fn is_ordering(self) -> bool {
        matches!(self, Self::Lt | Self::Le | Self::Gt | Self::Ge)
    }

    /// Whether it is written as a word.
    pub fn is_word(self) -> bool {
        self.as_str().starts_with(|c: char| c.is_ascii_alphabetic())
    }

    /// Whether `oneof`, `anyof` and `allof` may follow.
    pub fn takes_quantifier(self) -> bool {
        !self.takes_list() && !self.is_ordering() && self != Self::Exists
    }
}

words! {
    /// How many values of a list a string operator must match.
    Quantifier {
        /// Exactly one.
        OneOf "oneof",
        /// At least one.
        AnyOf "anyof",
        /// All.
        AllOf "allof",
    }
}

words! {
    /// A transformer.
    Function {
        /// In small letters.
        ToLower "tolower",
        /// In capitals.
        ToUpper "toupper",
        /// Decoded from base64.
        B64 "b64",
        /// What follows the last `/`.
        Basename "basename",
        /// Number of values of a list, or of bytes of a text.
        Len "len",
        /// The values of a list, joined by a separator: `join(list, ",")`.
        Join "join",
        /// The arguments, one after the other.
        Concat "concat",
        /// Command line options: `getopt(proc.args, "n:v")` gives the letters used, with `[n]` the value of one.
        GetOpt "getopt",
    }
}

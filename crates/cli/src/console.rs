//! Where a command writes: results to standard output, everything else to standard error.

use std::fmt::{self, Display};
use std::io::{self, BufWriter, IsTerminal, Stderr, Stdout, Write};

use serde::Serialize;

use crate::cli::Format;

/// Standard output and standard error, and what they can show.
pub struct Console {
    out: BufWriter<Stdout>,
    err: Stderr,
    out_is_terminal: bool,
    out_colour: bool,
    err_colour: bool,
}

impl Console {
    /// The console of this process. Colour is for terminals, unless `NO_COLOR` is set (<https://no-color.org>).
    pub fn of_process() -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let out_is_terminal = out.is_terminal();
        Self {
            out_is_terminal,
            out_colour: wanted && out_is_terminal,
            err_colour: wanted && err.is_terminal(),
            out: BufWriter::new(out),
            err,
        }
    }

    /// The format asked for; without one, text for people at a terminal and JSON in a pipe.
    pub fn format(&self, asked: Option<Format>) -> Format {
        asked.unwrap_or(if self.out_is_terminal { Format::Text } else { Format::Json })
    }

    /// Whether standard output is a terminal.
    pub fn out_is_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// The form of alerts for people.
    pub fn alert_text(&self) -> vedette_event::alert::Format {
        vedette_event::alert::Format::Text { color: self.out_colour }
    }

    /// Writes bytes to standard output.
    ///
    /// # Errors
    /// As [`Console::print`].
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// Shows how far a command is, in place of what was shown before; on a terminal only.
    pub fn progress(&mut self, text: impl Display) {
        if self.err.is_terminal() {
            // Back to the beginning of the line, and erase it (ECMA-48: EL).
            let _ = write!(self.err, "\r\x1b[K{text}");
        }
    }

    /// Takes away what [`Console::progress`] showed.
    pub fn progress_end(&mut self) {
        self.progress("");
    }

    /// Whether standard error shows colour.
    pub fn err_colour(&self) -> bool {
        self.err_colour
    }

    /// How standard output shows a kind of text.
    pub fn paint<T: Display>(&self, style: Style, text: T) -> Painted<T> {
        Painted { text, style: self.out_colour.then_some(style) }
    }

    /// Writes a result to standard output.
    ///
    /// # Errors
    /// When standard output cannot be written, also because its reader went away.
    pub fn print(&mut self, text: impl Display) -> io::Result<()> {
        write!(self.out, "{text}")
    }

    /// Writes a line of a result to standard output.
    ///
    /// # Errors
    /// As [`Console::print`].
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// Writes the result as JSON, indented for a terminal.
    ///
    /// # Errors
    /// As [`Console::print`].
    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        if self.out_is_terminal {
            serde_json::to_writer_pretty(&mut self.out, value)?;
        } else {
            serde_json::to_writer(&mut self.out, value)?;
        }
        writeln!(self.out)
    }

    /// Says something on standard error. If even that cannot be written there is nobody to tell.
    pub fn say(&mut self, text: impl Display) {
        let _ = writeln!(self.err, "{text}");
    }

    /// Says why a command failed.
    pub fn error(&mut self, error: impl Display) {
        let style = self.err_colour.then_some(Style::Bad);
        let word = Painted { text: "error", style };
        self.say(format_args!("{word}: {error}"));
    }

    /// Brings everything written to standard output to its reader.
    ///
    /// # Errors
    /// As [`Console::print`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What a piece of text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The heading of a part.
    Heading,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// In between.
    Unsure,
    /// Less important.
    Faint,
}

/// Text with its colour.
pub struct Painted<T> {
    text: T,
    style: Option<Style>,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Select Graphic Rendition, ECMA-48: bold, green, red, yellow, faint.
        let code = match self.style {
            None => return self.text.fmt(f),
            Some(Style::Heading) => "1",
            Some(Style::Good) => "32",
            Some(Style::Bad) => "1;31",
            Some(Style::Unsure) => "33",
            Some(Style::Faint) => "2",
        };
        write!(f, "\x1b[{code}m")?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

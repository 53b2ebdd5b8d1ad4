//! One line for a terminal.
//!
//! Paths and arguments come from whoever is being watched. A terminal obeys control characters, so none of them
//! may reach it: not in the text, not in names, not in what an administrator put into a rule.

use std::fmt::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{Alert, Level, Priority, TakenAction};

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// Writes the line, without the line feed. With `color`, escape sequences of ours are in it, and no others ever.
pub(super) fn write(alert: &Alert, color: bool, out: &mut impl Write) -> fmt::Result {
    let paint = |style: Style| if color { style } else { Style::new() };
    let dim = paint(DIM);
    write!(out, "{dim}{}Z{dim:#} ", alert.time.time_of_day(3))?;
    let style = paint(priority_style(alert.priority));
    write!(out, "{style}{}{style:#} ", alert.priority)?;
    if alert.level != Level::Default {
        write!(out, "{dim}[{}]{dim:#} ", alert.level)?;
    }
    let bold = paint(BOLD);
    let (message, more) = cut(alert.message());
    write!(out, "{bold}{}{bold:#}: {}{more}", Escaped(&alert.rule), Escaped(message))?;
    if let Some(done) = done(alert.action.taken) {
        let style = paint(AnsiColor::Magenta.on_default().bold());
        write!(out, " {style}[{done}]{style:#}")?;
    }
    if let Some(correlation) = &alert.correlation {
        write!(out, " [{} of {} events]", correlation.kind.as_str(), correlation.count)?;
    }
    write!(out, " {dim}| {} | {}{dim:#}", Escaped(&whom(alert)), Escaped(&ancestry(alert)))?;
    if let Some(response) = response(alert) {
        write!(out, " | {bold}→{bold:#} {}", Escaped(response))?;
    }
    let lost: u64 = alert.gaps.iter().map(|g| g.count).sum();
    if lost > 0 {
        let style = paint(AnsiColor::Red.on_default());
        let noun = if lost == 1 { "event" } else { "events" };
        write!(out, " {style}[{lost} {noun} lost before this]{style:#}")?;
    }
    Ok(())
}

/// What follows the message of a rule that says what to do, in the text that machines pass on to people.
pub(super) fn tail(alert: &Alert) -> String {
    let Some(response) = response(alert) else { return String::new() };
    format!(" | {} | {} | → {response}", whom(alert), ancestry(alert))
}

fn response(alert: &Alert) -> Option<&str> {
    alert.guide.as_ref().map(|guide| guide.response.as_str()).filter(|response| !response.is_empty())
}

/// As whom and where it happened: `user ada as root (logged in as eve) on n7`.
fn whom(alert: &Alert) -> String {
    let mut text = String::new();
    if let Some(user) = &alert.process.user {
        let name = |name: &Option<String>, id: u32| name.clone().unwrap_or_else(|| id.to_string());
        let real = name(&user.name, user.uid);
        text = format!("user {real} ");
        if user.euid != user.uid {
            let effective = if user.euid == 0 { "root".to_owned() } else { format!("uid {}", user.euid) };
            text += &format!("as {effective} ");
        }
        let login = user.loginuid.filter(|login| *login != user.uid);
        if let Some(login) = login {
            text += &format!("(logged in as {}) ", name(&user.loginname, login));
        }
    }
    let Some(container) = &alert.container else { return text + "on " + &alert.hostname };
    let id = container.id.get(..12).unwrap_or(&container.id);
    text += &match &container.name {
        Some(name) => format!("in container {name} ({id})"),
        None => format!("in container {id}"),
    };
    let pod = alert.k8s.as_ref().and_then(|k8s| Some((k8s.namespace.as_ref()?, k8s.pod.as_ref()?)));
    if let Some((namespace, pod)) = pod {
        text += &format!(" of pod {namespace}/{pod}");
    }
    text
}

/// Names of ancestors that are told; of more, those in the middle are left out: who did it and who let them in count.
const NEAREST: usize = 6;
const FARTHEST: usize = 2;

/// The process and its ancestors, the same names in a row as one: `cat (pid 812) ← bash ×2 ← sshd`.
fn ancestry(alert: &Alert) -> String {
    let process = &alert.process;
    let mut text = process.display_name();
    if !process.name.is_empty() {
        text += &format!(" (pid {})", process.pid);
    }
    let mut runs: Vec<(String, usize)> = Vec::new();
    for name in process.ancestors.iter().map(|ancestor| ancestor.display_name()) {
        match runs.last_mut() {
            Some((last, times)) if *last == *name => *times += 1,
            _ => runs.push((name.to_string(), 1)),
        }
    }
    let left_out = NEAREST..runs.len().saturating_sub(FARTHEST);
    for (index, (name, times)) in runs.iter().enumerate() {
        if left_out.contains(&index) {
            if index == left_out.start {
                text += " ← …";
            }
            continue;
        }
        text += " ← ";
        text += name;
        if *times > 1 {
            text += &format!(" ×{times}");
        }
    }
    if process.ancestors_truncated {
        text += " ← …";
    }
    text
}

/// Bytes of a rule's own words that a line holds; all of them are in the JSON.
const LONGEST: usize = 480;

/// Cut where it would fill the terminal.
fn cut(message: &str) -> (&str, &'static str) {
    if message.len() <= LONGEST {
        (message, "")
    } else {
        (&message[..message.floor_char_boundary(LONGEST)], "…")
    }
}

fn done(taken: TakenAction) -> Option<&'static str> {
    match taken {
        TakenAction::Alert => None,
        TakenAction::None => Some("not enforced"),
        TakenAction::Killed => Some("killed"),
        TakenAction::Denied => Some("denied"),
        TakenAction::Audit => Some("audit"),
    }
}

fn priority_style(priority: Priority) -> Style {
    match priority {
        Priority::Emergency | Priority::Alert => AnsiColor::BrightWhite.on(AnsiColor::Red).bold(),
        Priority::Critical => AnsiColor::Red.on_default().bold(),
        Priority::Error => AnsiColor::Red.on_default(),
        Priority::Warning => AnsiColor::Yellow.on_default(),
        Priority::Notice => AnsiColor::Cyan.on_default(),
        Priority::Informational => AnsiColor::Green.on_default(),
        Priority::Debug => DIM,
    }
}

/// Text with every character escaped that a terminal could obey or that could make text look like other text.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_unsafe(*c)) {
            f.write_str(&rest[..at])?;
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if u32::from(c) < 0x100 => write!(f, "\\x{:02x}", u32::from(c))?,
                c => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            }
            rest = &rest[at + c.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// Control characters of all three sets (C0, DEL, C1), line and paragraph separators, marks that change the
/// direction of what follows ("Trojan Source", CVE-2021-42574), and characters that cannot be seen.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_passes() {
        let cases = [
            ("plain ü ← 漢", "plain ü ← 漢"),
            ("a\nb\rc\td", "a\\nb\\rc\\td"),
            ("\x1b[2J\x1b]0;x\x07", "\\x1b[2J\\x1b]0;x\\x07"),
            ("\u{9b}31m\x7f\0", "\\x9b31m\\x7f\\x00"),
            ("\u{202e}cod.exe\u{2028}", "\\u{202e}cod.exe\\u{2028}"),
            ("", ""),
        ];
        for (text, escaped) in cases {
            assert_eq!(Escaped(text).to_string(), escaped);
        }
    }
}

//! An alert of the log in the form that was asked for.

use clap::ValueEnum;
use vedette_event::alert::{self, Alert, Escaped};
use vedette_proto::v1;

use crate::console::Console;

/// How alerts look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One line for people.
    Text,
    /// One JSON object a line, as the agent wrote it.
    Json,
    /// One OCSF Detection Finding (class 2004) a line.
    Ocsf,
}

impl Output {
    /// What was asked for; else text for people at a terminal, and JSON in a pipe.
    pub fn of(asked: Option<Self>, console: &Console) -> Self {
        asked.unwrap_or(if console.out_is_terminal() { Self::Text } else { Self::Json })
    }
}

/// The line of an alert, with its line feed. What a newer agent says and this version cannot read comes as JSON.
pub fn line(response: &v1::TailResponse, output: Output, text: alert::Format) -> Vec<u8> {
    let json = response.alert.as_ref().map(|alert| &alert.json[..]).unwrap_or_default();
    let format = match output {
        Output::Json => return one_line(json),
        Output::Text => text,
        Output::Ocsf => alert::Format::Ocsf,
    };
    let read = serde_json::from_slice::<Box<Alert>>(json);
    let mut line = Vec::with_capacity(512);
    match read.map(|alert| format.write_line(&alert, &mut line)) {
        Ok(Ok(())) => line,
        _ if output == Output::Text => {
            // It goes to a terminal, and somebody else has written it.
            let text = String::from_utf8_lossy(json);
            format!("{}: {}\n", Escaped(&response.node), Escaped(text.trim_end())).into_bytes()
        }
        _ => one_line(json),
    }
}

/// In JSON, a line feed can only be white space between two parts.
fn one_line(json: &[u8]) -> Vec<u8> {
    let blank = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
    json.iter().map(blank).chain([b'\n']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(json: &str) -> v1::TailResponse {
        let alert = v1::Alert { json: json.to_owned().into(), ..Default::default() };
        v1::TailResponse { node: "n1".into(), alert: Some(alert), ..Default::default() }
    }

    #[test]
    fn what_cannot_be_read_is_shown_all_the_same_and_harms_no_terminal() {
        let plain = alert::Format::Text { color: false };
        let text = line(&response("{\"future\": \"\u{1b}[2J\"}\n"), Output::Text, plain);
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("n1: {\"future\"") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(line(&response("{\n}"), Output::Json, plain), b"{ }\n");
        assert_eq!(line(&response("{}"), Output::Ocsf, plain), b"{}\n");
    }
}

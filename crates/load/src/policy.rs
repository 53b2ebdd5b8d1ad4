//! The policy that is changed.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// What stands before the number of the round.
const MARK: &[u8] = b"round number ";
/// Bytes that a policy of usual size has, about.
const SIZE: usize = 4096;

/// Writes the policy of a round, as a whole.
///
/// # Errors
/// The file cannot be written.
pub fn write(file: &Path, round: u32) -> Result<()> {
    let mut text = format!(
        "apiVersion: vedette.dev/v1alpha1\nkind: ClusterSecurityPolicy\nmetadata:\n  name: round\nspec:\n  \
         description: round number {round}\n  rules:\n    - name: Round\n      \
         condition: evt.type = openat and fd.name = /etc/round-{round}\n      \
         output: \"%proc.name opened it\"\n      priority: Warning\n"
    );
    while text.len() < SIZE {
        text += "# A policy of usual size says more than this one does, and takes the room of these lines.\n";
    }
    let new = file.with_extension("new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, file)).with_context(|| file.display().to_string())
}

/// The round of a document; 0, if it is another policy.
pub fn round(content: &[u8]) -> u32 {
    let Some(at) = content.windows(MARK.len()).position(|window| window == MARK) else { return 0 };
    let digits = content[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

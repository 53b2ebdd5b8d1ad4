//! Tokens from a file.
//!
//! A line is `agent NODE TOKEN` or `operator NAME TOKEN`; `#` begins a comment. `agent * TOKEN` speaks for any node: it is
//! for one host, or to begin with. The file is read again when it has changed.

use std::{
    collections::HashMap,
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};

use super::{AuthError, Authenticator, Credentials, Identity, Role, is_node_name};

/// How often it is looked whether the file has changed.
const LOOK: Duration = Duration::from_secs(1);

/// Fewest characters of a token.
const SHORTEST: usize = 16;

/// Why tokens cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// A line is not as it should be.
    #[error("{path}:{line}: {message}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

/// Tokens by their hash, so that looking one up tells nothing about the others by the time that it takes.
type Table = HashMap<[u8; 32], Identity>;

/// Knows callers by their tokens.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    loaded: Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    table: Table,
    modified: Option<SystemTime>,
    looked: Instant,
}

impl Tokens {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or a line is not as it should be.
    pub fn load(path: &Path) -> Result<Self, TokensError> {
        let (table, modified) = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            loaded: Mutex::new(Loaded { table, modified, looked: Instant::now() }),
        })
    }

    fn find(&self, token: &str) -> Option<Identity> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.looked.elapsed() >= LOOK {
            loaded.looked = Instant::now();
            if modified(&self.path) != loaded.modified {
                match read(&self.path) {
                    Ok((table, modified)) => (loaded.table, loaded.modified) = (table, modified),
                    Err(error) => tracing::error!(%error, "the tokens stay as they were"),
                }
            }
        }
        loaded.table.get(&hash(token)).cloned()
    }
}

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<Identity>, AuthError> {
        Ok(credentials.token.and_then(|token| self.find(token)))
    }
}

fn hash(token: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    out
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn read(path: &Path) -> Result<(Table, Option<SystemTime>), TokensError> {
    let name = path.display().to_string();
    let before = modified(path);
    let text = fs::read_to_string(path).map_err(|error| TokensError::File { path: name.clone(), error })?;
    let mut table = Table::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let fail = |message: &str| TokensError::Line {
            path: name.clone(),
            line: number + 1,
            message: message.to_owned(),
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let [role, who, token] = words[..] else {
            return Err(fail("a line is `agent NODE TOKEN` or `operator NAME TOKEN`"));
        };
        if token.len() < SHORTEST {
            return Err(fail("a token has at least 16 characters"));
        }
        let role = match role {
            "agent" if who == "*" => Role::Agent(None),
            "agent" if is_node_name(who) => Role::Agent(Some(who.into())),
            "agent" => return Err(fail("this is no name of a node")),
            "operator" => Role::Operator,
            _ => return Err(fail("there are the roles agent and operator")),
        };
        table.insert(hash(token), Identity { name: who.into(), role });
    }
    Ok((table, before))
}

/// Makes a file of tokens, if there is none, with one for agents and one for operators, and beside it the files
/// `agent-token` and `operator-token` to be handed out.
///
/// # Errors
/// They cannot be written.
pub fn create_tokens(path: &Path) -> Result<(), TokensError> {
    if path.exists() {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let fail = |error| TokensError::File { path: path.display().to_string(), error };
    let (agent, operator) = (random_token().map_err(fail)?, random_token().map_err(fail)?);
    // The file itself last: as long as it is not there, all is made anew.
    write(&directory.join("agent-token"), &format!("{agent}\n"))?;
    write(&directory.join("operator-token"), &format!("{operator}\n"))?;
    let text = format!(
        "# ROLE WHO TOKEN: `agent NODE TOKEN` speaks for one node, `agent * TOKEN` for any; `operator NAME TOKEN` sees alerts.\n\
         agent * {agent}\noperator local {operator}\n"
    );
    write(path, &text)
}

fn write(path: &Path, text: &str) -> Result<(), TokensError> {
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| TokensError::File { path: path.display().to_string(), error })
}

fn random_token() -> io::Result<String> {
    let mut bytes = [0u8; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the kernel gives no random bytes for a token"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_which_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        create_tokens(&path).unwrap();
        let agent = fs::read_to_string(dir.path().join("agent-token")).unwrap();
        create_tokens(&path).unwrap();
        assert_eq!(agent, fs::read_to_string(dir.path().join("agent-token")).unwrap(), "made once");
        let tokens = Tokens::load(&path).unwrap();
        assert_eq!(tokens.find(agent.trim()).unwrap().role, Role::Agent(None));
        assert_eq!(tokens.find("0000000000000000"), None);

        fs::write(&path, "agent n1 0123456789abcdef # the first\n\noperator soc fedcba9876543210\n").unwrap();
        let tokens = Tokens::load(&path).unwrap();
        assert_eq!(tokens.find("0123456789abcdef").unwrap().role, Role::Agent(Some("n1".into())));
        assert_eq!(tokens.find("fedcba9876543210").unwrap().role, Role::Operator);
        for (bad, line) in [("agent n1", 1), ("\nagent n1 short", 2), ("who n1 0123456789abcdef", 1)] {
            fs::write(&path, bad).unwrap();
            match Tokens::load(&path).unwrap_err() {
                TokensError::Line { line: at, .. } => assert_eq!(at, line, "{bad}"),
                error @ TokensError::File { .. } => panic!("{error}"),
            }
        }
    }
}

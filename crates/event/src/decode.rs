//! From the bytes of a ring to a record that borrows them.

use vedette_abi::{
    ABI_VERSION, Call, CgroupDir, FileOpen, Gap, Header, Kind, NetCall, ProcessChange, ProcessExec,
    ProcessExit, ProcessFork, Syscall, TaskFacts, strings,
};
use zerocopy::FromBytes;

/// A decoded record. Strings borrow the input; they are bytes, because paths are.
#[derive(Clone, Debug, PartialEq)]
pub struct Record<'a> {
    /// What every record has.
    pub header: Header,
    /// What it is about.
    pub kind: Kind,
    /// The system call, where there is one.
    pub call: Option<Call>,
    /// The rest, by kind.
    pub body: Body<'a>,
    /// The bytes it was decoded from, to decode it again later; none for a record that was put together otherwise.
    pub bytes: &'a [u8],
}

/// The body of a record, by kind.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "fields are the strings that the documented bodies name")]
pub enum Body<'a> {
    /// Records were lost.
    Gap(Gap),
    /// A process came into being.
    ProcessFork(ProcessFork),
    /// A process that was there before.
    ProcessSnapshot(ProcessFork),
    /// A process replaced its program.
    ProcessExec {
        facts: ProcessExec,
        exe: &'a [u8],
        filename: &'a [u8],
        cwd: &'a [u8],
        argv: &'a [u8],
        env: &'a [u8],
        stdio: [&'a [u8]; 3],
    },
    /// A process ended.
    ProcessExit(ProcessExit),
    /// A control group was made.
    CgroupMkdir { facts: CgroupDir, path: &'a [u8] },
    /// A control group was removed.
    CgroupRmdir { facts: CgroupDir, path: &'a [u8] },
    /// A file was opened.
    FileOpen { facts: FileOpen, path: &'a [u8], raw: &'a [u8], cwd: &'a [u8], alias: &'a [u8] },
    /// Something was done with a socket.
    NetCall { facts: NetCall, path: &'a [u8], data: &'a [u8] },
    /// A process changed what it is. `syscall` is all zero where no call of its own did that.
    ProcessChange { task: TaskFacts, syscall: Syscall, strings: Strings<'a> },
    /// Any other system call.
    Syscall { facts: Syscall, strings: Strings<'a> },
}

/// The strings of a [`Syscall`]; see [`strings`] for what each is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strings<'a> {
    /// Path of the file behind the descriptor, as the kernel resolved it.
    pub path: &'a [u8],
    /// First path as passed.
    pub raw: &'a [u8],
    /// Second path, or another name, as passed.
    pub raw2: &'a [u8],
    /// Directory that the first path is relative to; empty where it is absolute.
    pub base: &'a [u8],
    /// Directory that the second path is relative to.
    pub base2: &'a [u8],
    /// Another string or buffer, by call.
    pub data: &'a [u8],
    /// First path, resolved by user space.
    pub target: &'a [u8],
    /// Second path, likewise.
    pub target2: &'a [u8],
}

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than the part needs.
    #[error("record cut: {have} bytes where {need} are needed for {what}")]
    Cut {
        /// Which part.
        what: &'static str,
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// Made by programs of another version.
    #[error("record of ABI version {found}, this build reads version {expected}", expected = ABI_VERSION)]
    Version {
        /// The version found.
        found: u8,
    },
    /// A kind that this build does not know.
    #[error("record of unknown kind {0}")]
    Kind(u16),
    /// A call that this build does not know.
    #[error("record of unknown call {0}")]
    Call(u8),
    /// The header's length is not the length of what is there.
    #[error("record says it has {said} bytes, its parts have {found}")]
    Length {
        /// What the header says.
        said: usize,
        /// What the parts add up to.
        found: usize,
    },
}

/// Takes parts off the front of a record.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn fixed<T: FromBytes>(&mut self, what: &'static str) -> Result<T, DecodeError> {
        let (value, rest) = T::read_from_prefix(self.rest).map_err(|_| DecodeError::Cut {
            what,
            need: size_of::<T>(),
            have: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(value)
    }

    fn bytes(&mut self, len: u16, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = usize::from(len);
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Cut {
            what,
            need: len,
            have: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(bytes)
    }

    fn strings(&mut self, of: &Syscall) -> Result<Strings<'a>, DecodeError> {
        Ok(Strings {
            path: self.bytes(of.lens[strings::PATH], "the path")?,
            raw: self.bytes(of.lens[strings::RAW], "the first path as passed")?,
            raw2: self.bytes(of.lens[strings::RAW2], "the second path as passed")?,
            base: self.bytes(of.lens[strings::BASE], "the first path's directory")?,
            base2: self.bytes(of.lens[strings::BASE2], "the second path's directory")?,
            data: self.bytes(of.lens[strings::DATA], "the data")?,
            target: self.bytes(of.lens[strings::TARGET], "the first path as resolved")?,
            target2: self.bytes(of.lens[strings::TARGET2], "the second path as resolved")?,
        })
    }
}

/// Decodes one record.
///
/// # Errors
/// The bytes are cut, longer than they say, or of a version, kind or call that this build does not know.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, DecodeError> {
    let mut r = Reader { rest: bytes };
    let header: Header = r.fixed("the header")?;
    if header.version != ABI_VERSION {
        return Err(DecodeError::Version { found: header.version });
    }
    let kind = Kind::try_from(header.kind).map_err(DecodeError::Kind)?;
    let call = match header.call {
        0 => None,
        call => Some(Call::try_from(call).map_err(DecodeError::Call)?),
    };
    let body = match kind {
        Kind::Gap => Body::Gap(r.fixed("the gap")?),
        Kind::ProcessFork => Body::ProcessFork(r.fixed("the task")?),
        Kind::ProcessSnapshot => Body::ProcessSnapshot(r.fixed("the task")?),
        Kind::ProcessExec => {
            let facts: ProcessExec = r.fixed("the exec")?;
            Body::ProcessExec {
                exe: r.bytes(facts.exe_len, "the executable's path")?,
                filename: r.bytes(facts.filename_len, "the file name")?,
                cwd: r.bytes(facts.cwd_len, "the working directory")?,
                argv: r.bytes(facts.argv_len, "the arguments")?,
                env: r.bytes(facts.env_len, "the environment")?,
                stdio: [
                    r.bytes(facts.stdio[0].path_len, "standard input")?,
                    r.bytes(facts.stdio[1].path_len, "standard output")?,
                    r.bytes(facts.stdio[2].path_len, "standard error")?,
                ],
                facts,
            }
        }
        Kind::ProcessExit => Body::ProcessExit(r.fixed("the exit")?),
        Kind::CgroupMkdir | Kind::CgroupRmdir => {
            let facts: CgroupDir = r.fixed("the control group")?;
            let path = r.bytes(facts.path_len, "the control group's path")?;
            match kind {
                Kind::CgroupMkdir => Body::CgroupMkdir { facts, path },
                _ => Body::CgroupRmdir { facts, path },
            }
        }
        Kind::FileOpen => {
            let facts: FileOpen = r.fixed("the open")?;
            Body::FileOpen {
                path: r.bytes(facts.path_len, "the path")?,
                raw: r.bytes(facts.raw_len, "the path as passed")?,
                cwd: r.bytes(facts.cwd_len, "the working directory")?,
                alias: r.bytes(facts.alias_len, "the alias")?,
                facts,
            }
        }
        Kind::NetConnect | Kind::NetSocket | Kind::NetSend | Kind::NetReceive => {
            let facts: NetCall = r.fixed("the socket call")?;
            Body::NetCall {
                path: r.bytes(facts.path_len, "the socket path")?,
                data: r.bytes(facts.data_len, "the data")?,
                facts,
            }
        }
        Kind::ProcessChange => {
            let facts: ProcessChange = r.fixed("the change")?;
            let strings = r.strings(&facts.syscall)?;
            Body::ProcessChange { task: facts.task, syscall: facts.syscall, strings }
        }
        Kind::FdDup
        | Kind::FileChange
        | Kind::FileMount
        | Kind::ProcessControl
        | Kind::KernelControl
        | Kind::Memory
        | Kind::IoUring
        | Kind::ExecFailed => {
            let facts: Syscall = r.fixed("the system call")?;
            Body::Syscall { strings: r.strings(&facts)?, facts }
        }
    };
    // A ring pads to eight bytes; more than that is a record that does not know its own size.
    let found = bytes.len() - r.rest.len();
    if header.len as usize != found || r.rest.len() >= 8 {
        return Err(DecodeError::Length { said: header.len as usize, found });
    }
    Ok(Record { header, kind, call, body, bytes })
}

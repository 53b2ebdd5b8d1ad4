//! How the sinks do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::alert_log::Position;

/// What a sink does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SinkState {
    /// It has not sent anything yet.
    #[default]
    Starting,
    /// The last attempt succeeded.
    Ok,
    /// It tries again and again, since then.
    Retrying {
        /// When the first attempt failed.
        since: Timestamp,
    },
    /// It has ended.
    Stopped,
}

/// How a sink does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// The kind of its far side, as in its settings (`splunkHec`).
    pub kind: &'static str,
    /// What it does now.
    pub state: SinkState,
    /// Up to where it has everything.
    pub cursor: Position,
    /// About how many alerts of the log it does not have yet.
    pub lag: u64,
    /// Alerts delivered since the controller started.
    pub delivered: u64,
    /// Alerts parked as dead letters since then.
    pub refused: u64,
    /// What went wrong the last time, and when. It stays when all is well again.
    pub last_error: Option<(Timestamp, String)>,
}

/// Longest text of an error that is kept.
const ERROR_BYTES: usize = 500;

/// The status of one sink, shared between its driver and whoever asks.
#[derive(Clone, Debug)]
pub(super) struct StatusCell(Arc<Mutex<SinkStatus>>);

impl StatusCell {
    pub(super) fn new(name: &str, kind: &'static str) -> Self {
        Self(Arc::new(Mutex::new(SinkStatus { name: name.to_owned(), kind, ..SinkStatus::default() })))
    }

    pub(super) fn get(&self) -> SinkStatus {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, SinkStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes it, if it is not as it should be. Returns whether the state is another now.
    pub(super) fn update(&self, with: impl FnOnce(&mut SinkStatus)) -> bool {
        let mut status = self.lock();
        let before = std::mem::discriminant(&status.state);
        with(&mut status);
        before != std::mem::discriminant(&status.state)
    }

    /// Notes a failure. Returns whether it is the first one.
    pub(super) fn failed(&self, reason: &str) -> bool {
        let now = Timestamp::now();
        let cut = reason.floor_char_boundary(ERROR_BYTES);
        self.update(|status| {
            status.last_error = Some((now, reason[..cut].to_owned()));
            if !matches!(status.state, SinkState::Retrying { .. }) {
                status.state = SinkState::Retrying { since: now };
            }
        })
    }

    /// Notes a success. Returns whether it comes after a failure.
    pub(super) fn succeeded(&self) -> bool {
        let mut before = SinkState::Ok;
        self.update(|status| before = std::mem::replace(&mut status.state, SinkState::Ok));
        matches!(before, SinkState::Retrying { .. })
    }
}

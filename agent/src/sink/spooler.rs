//! The thread that puts alerts into the spool.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use vedette_event::alert::Alert;

use super::{Shared, add};
use crate::spool::{Appended, Figures, Spool};

/// When what is in the spool is made durable, and so may be sent. Each time it is all that came until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// As soon as it is there; more comes in while the disk works.
    Always,
    /// So long after the last time; at once, if that was longer ago.
    Every(Duration),
    /// Left to the kernel: a crash of the node may lose up to half a minute, and is not noticed. A crash of the agent
    /// loses nothing.
    Never,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self::Every(Duration::from_millis(100))
    }
}

/// Most alerts that are added before they are made durable, however many wait.
const BATCH: usize = 1024;

/// Runs until all senders of `alerts` are gone and all is durable.
pub(super) fn run(spool: &Spool, alerts: &Receiver<Arc<Alert>>, sync: SyncPolicy, shared: &Shared) {
    let mut last: Option<Instant> = None;
    let (mut pending, mut told) = (false, 0);
    loop {
        let due = match sync {
            SyncPolicy::Every(interval) => {
                last.map_or(Duration::ZERO, |last| interval.saturating_sub(last.elapsed()))
            }
            SyncPolicy::Always | SyncPolicy::Never => Duration::ZERO,
        };
        let received = if pending {
            alerts.recv_timeout(due)
        } else {
            alerts.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match received {
            Ok(alert) => {
                spool
                    .with(|log| {
                        let mut next = Some(alert);
                        for _ in 0..BATCH {
                            let Some(alert) = next else { break };
                            keep(log.append_alert(&alert), shared);
                            next = alerts.try_recv().ok();
                        }
                        next
                    })
                    // Taken out of the queue, and not added yet.
                    .into_iter()
                    .for_each(|alert| keep(spool.with(|log| log.append_alert(&alert)), shared));
                pending = true;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let is_due = match sync {
            SyncPolicy::Every(interval) => last.is_none_or(|last| last.elapsed() >= interval),
            SyncPolicy::Always | SyncPolicy::Never => true,
        };
        if pending && is_due {
            spool.commit(sync != SyncPolicy::Never);
            tell(spool.figures(), &mut told);
            (last, pending) = (Some(Instant::now()), false);
        }
    }
    spool.close();
}

/// Says that the disk fails, again whenever it has done so twice as often.
fn tell(figures: Figures, told: &mut u64) {
    let Figures { errors, corrupt, waiting, .. } = figures;
    let failures = errors.saturating_add(corrupt);
    if failures > 0 && failures >= told.saturating_mul(2) {
        *told = failures;
        tracing::error!(
            errors,
            corrupt,
            waiting,
            "the disk under the spool fails: alerts may be lost on their way to the controller; check the disk, or \
             move the spool with --data"
        );
    }
}

fn keep(appended: Appended, shared: &Shared) {
    match appended {
        Appended::Kept(_) => add(&shared.written, 1),
        Appended::Shed(_) => {
            add(&shared.dropped, 1);
            add(&shared.errors, 1);
        }
    }
}

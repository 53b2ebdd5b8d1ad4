//! Losses, as alerts report them.

use serde::{Deserialize, Serialize};
use vedette_abi::{Gap, GapLoss, Kind, Ring};

use super::Time;
use crate::{Body, Clock, Record};

/// Records of one kind and control group that were lost on one CPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapInfo {
    /// The ring that was full (`state`, `events`); `agent` for what was lost after it.
    pub ring: String,
    /// The CPU.
    pub cpu: u16,
    /// Kind of the lost records, `mixed` where there were too many kinds and groups to tell apart.
    pub kind: String,
    /// The control group, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<u64>,
    /// How many.
    pub count: u64,
    /// When the first was lost.
    pub from: Time,
    /// When the last was lost.
    pub to: Time,
}

/// Gathers losses until an alert takes them along. Bounded: when it is full, further losses are added up by
/// ring, so that the total stays right.
#[derive(Clone, Debug, Default)]
pub struct GapLog {
    gaps: Vec<GapInfo>,
}

/// Most rows that an alert carries.
const MAX_GAPS: usize = 32;

impl GapLog {
    /// Takes note of a record if it is a gap.
    pub fn note(&mut self, record: &Record<'_>, clock: Clock) {
        if let Body::Gap(gap) = &record.body {
            self.note_gap(gap, record.header.cpu, clock);
        }
    }

    fn note_gap(&mut self, gap: &Gap, cpu: u16, clock: Clock) {
        let ring = u8::try_from(gap.ring).ok().and_then(|r| Ring::try_from(r).ok());
        let row = |kind: &str, cgroup: Option<u64>, count: u64| GapInfo {
            ring: ring.map_or("unknown", Ring::name).to_owned(),
            cpu,
            kind: kind.to_owned(),
            cgroup,
            count,
            from: Time(clock.realtime(gap.first_time)),
            to: Time(clock.realtime(gap.last_time)),
        };
        let mut listed = 0;
        for loss in gap.losses.iter().filter(|l| l.count > 0) {
            listed += u64::from(loss.count);
            let cgroup = (loss.cgroup != 0).then_some(loss.cgroup);
            self.add(row(kind_name(loss), cgroup, u64::from(loss.count)));
        }
        let rest = u64::from(gap.total).saturating_sub(listed);
        if rest > 0 {
            self.add(row("mixed", None, rest));
        }
    }

    /// Adds a loss; one of the same place and kind grows.
    pub fn add(&mut self, gap: GapInfo) {
        let same =
            |g: &GapInfo| (&g.ring, g.cpu, &g.kind, g.cgroup) == (&gap.ring, gap.cpu, &gap.kind, gap.cgroup);
        if let Some(known) = self.gaps.iter_mut().find(|g| same(g)) {
            return grow(known, &gap);
        }
        if self.gaps.len() < MAX_GAPS {
            return self.gaps.push(gap);
        }
        let place = self.gaps.iter().position(|g| g.ring == gap.ring).unwrap_or(MAX_GAPS - 1);
        let known = &mut self.gaps[place];
        "mixed".clone_into(&mut known.kind);
        known.cgroup = None;
        grow(known, &gap);
    }

    /// What was lost since [`Self::take`].
    pub fn rows(&self) -> &[GapInfo] {
        &self.gaps
    }

    /// What was lost since the last time.
    pub fn take(&mut self) -> Vec<GapInfo> {
        std::mem::take(&mut self.gaps)
    }

    /// How many records were lost since [`Self::take`].
    pub fn total(&self) -> u64 {
        self.gaps.iter().map(|g| g.count).sum()
    }
}

fn grow(known: &mut GapInfo, by: &GapInfo) {
    known.count += by.count;
    known.from = known.from.min(by.from);
    known.to = known.to.max(by.to);
}

fn kind_name(loss: &GapLoss) -> &'static str {
    u16::try_from(loss.kind).ok().and_then(|k| Kind::try_from(k).ok()).map_or("mixed", Kind::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(total: u32, losses: &[(u32, u64, u32)]) -> Gap {
        let mut gap: Gap = zerocopy::FromZeros::new_zeroed();
        gap.total = total;
        gap.ring = 1;
        (gap.first_time, gap.last_time) = (10, 20);
        for (slot, (kind, cgroup, count)) in gap.losses.iter_mut().zip(losses) {
            *slot = GapLoss { cgroup: *cgroup, count: *count, kind: *kind };
        }
        gap
    }

    #[test]
    fn every_loss_is_in_the_log() {
        let clock = Clock { boot_epoch_ns: 1_000 };
        let mut log = GapLog::default();
        log.note_gap(&gap(9, &[(16, 77, 4), (u32::MAX, 0, 3)]), 2, clock);
        assert_eq!(log.total(), 9);
        log.note_gap(&gap(1, &[(16, 77, 1)]), 2, clock);
        let gaps = log.take();
        assert_eq!(gaps.len(), 2, "{gaps:?}");
        assert_eq!((gaps[0].kind.as_str(), gaps[0].cgroup, gaps[0].count), ("file_open", Some(77), 5));
        assert_eq!((gaps[0].from, gaps[0].to, gaps[0].cpu), (Time(1_010), Time(1_020), 2));
        assert_eq!((gaps[1].kind.as_str(), gaps[1].cgroup, gaps[1].count), ("mixed", None, 5));
        assert_eq!(log.total(), 0);
    }

    #[test]
    fn a_full_log_keeps_the_total() {
        let mut log = GapLog::default();
        for cgroup in 1..=1000 {
            log.note_gap(&gap(2, &[(17, cgroup, 2)]), 0, Clock::default());
        }
        assert_eq!(log.total(), 2000);
        assert!(log.take().len() <= MAX_GAPS);
    }
}

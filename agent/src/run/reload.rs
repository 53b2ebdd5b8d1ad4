//! Replacing the policies while everything runs. The old ones stay until the new ones are live, and stay for good if
//! the new ones are bad.

use std::{io::IsTerminal, sync::atomic::Ordering::Relaxed};

use super::{Parts, lock, report, start::active_rules};
use crate::policies;

/// Reads the policies again.
pub fn reload(parts: &Parts) {
    match try_reload(parts) {
        Ok(rules) => {
            parts.stats.reloads.fetch_add(1, Relaxed);
            tracing::info!(rules, "policies reloaded");
        }
        Err(text) => {
            parts.stats.reload_failures.fetch_add(1, Relaxed);
            eprintln!("{}", text.trim_end());
            tracing::error!("the new policies are not used; the old ones stay");
        }
    }
}

fn try_reload(parts: &Parts) -> Result<usize, String> {
    let (set, warnings) = parts.origin.load(std::io::stderr().is_terminal()).map_err(|e| e.to_string())?;
    eprint!("{warnings}");
    let plan = policies::plan(&set);
    let rules = active_rules(&set);
    // First what either generation needs, then the new rules, then what they alone need: no event of a new rule is
    // missed, and none of an old one before it is gone.
    let both = lock(&parts.sensor).plan().union(&plan);
    lock(&parts.sensor).apply(&both).map_err(|e| e.to_string())?;
    if !parts.engine.set_policies(set.clone()) {
        return Err("the engine has ended".into());
    }
    lock(&parts.sensor).apply(&plan).map_err(|e| e.to_string())?;
    parts.rules.store(rules, Relaxed);
    report::degradations(&lock(&parts.sensor), &set, parts.asked);
    Ok(rules)
}

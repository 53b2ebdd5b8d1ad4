//! Replacing the policies while everything runs. The old ones stay until the new ones are live, and stay for good if
//! the new ones are bad.

use std::{
    io::IsTerminal,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{Parts, lock, report, start::active_rules, states};
use crate::{
    policies,
    uplink::{Bundle, Offer},
};

/// Reads the policies again.
pub fn reload(parts: &Parts) {
    let bundle = parts.uplink.as_ref().and_then(|uplink| uplink.bundle.clone());
    match try_reload(parts, bundle.as_deref(), std::io::stderr().is_terminal()) {
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

/// Takes a bundle of the controller's, if it is good.
pub fn take(parts: &mut Parts, offer: Offer) {
    let result = try_reload(parts, Some(&offer.bundle), false);
    match &result {
        Ok(rules) => {
            parts.stats.reloads.fetch_add(1, Relaxed);
            tracing::info!(rules, digest = offer.bundle.digest, "policies of the controller");
            if let Some(uplink) = &mut parts.uplink {
                uplink.bundle = Some(Arc::clone(&offer.bundle));
            }
        }
        Err(_) => {
            parts.stats.reload_failures.fetch_add(1, Relaxed);
        }
    }
    // The uplink may be ending; then it is offered again.
    let _ = offer.reply.send(result.map(|_| ()));
}

fn try_reload(parts: &Parts, bundle: Option<&Bundle>, colour: bool) -> Result<usize, String> {
    let more = bundle.map(Bundle::sources).unwrap_or_default();
    let (set, warnings, own) = parts.origin.load_with(more, colour).map_err(|e| e.to_string())?;
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
    if let Some(uplink) = &parts.uplink {
        uplink.effective.send_replace(states::effective(bundle, &set, own, &plan, parts.asked));
    }
    Ok(rules)
}

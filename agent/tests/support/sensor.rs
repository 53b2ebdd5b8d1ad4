//! The sensor alone, for tests that look at records.

// Each test target is a crate of its own, and none uses everything.
#![allow(dead_code, reason = "shared by test targets")]

use std::sync::Mutex;

use vedette_abi::EVERY_SCOPE;
use vedette_agent::{
    identity::Hierarchy,
    pump::Pump,
    sensor::{Drain, Plan, Sensor, SensorOptions},
};
use vedette_event::{Record, decode};

/// Tests that use the sensor take turns: each loads programs that every system call of the machine passes through.
static TURN: Mutex<()> = Mutex::new(());

/// Records as they came, in order.
pub struct Records(Vec<Vec<u8>>);

impl Records {
    /// All of them, decoded.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.0.iter().map(|bytes| decode(bytes).unwrap())
    }

    /// The one that `wanted` picks.
    ///
    /// # Panics
    /// There is none, or more than one.
    pub fn one(&self, wanted: impl Fn(&Record<'_>) -> bool) -> Record<'_> {
        let mut found = self.iter().filter(|r| wanted(r));
        let first = found.next().expect("a record");
        assert!(found.next().is_none(), "more than one record");
        first
    }
}

/// Runs `action` while every event type named in `types` is reported, and returns all records.
pub fn record(types: &[&str], action: impl FnOnce()) -> Records {
    record_plan(&plan_of(types), action)
}

fn plan_of(types: &[&str]) -> Plan {
    let mut plan = Plan::default();
    for name in types {
        plan.want(name, EVERY_SCOPE);
    }
    plan.want_failed_opens();
    plan.want_environment();
    plan
}

/// Runs `action` while everything in the plan is reported, and returns all records.
pub fn record_plan(plan: &Plan, action: impl FnOnce()) -> Records {
    watch_plan(plan, |_| action())
}

/// [`record`] for an action that asks the sensor.
pub fn watch(types: &[&str], action: impl FnOnce(&Sensor)) -> Records {
    watch_plan(&plan_of(types), action)
}

fn watch_plan(plan: &Plan, action: impl FnOnce(&Sensor)) -> Records {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let hierarchy = Hierarchy::of_host().unwrap();
    let mut sensor = Sensor::load(&SensorOptions {
        state_ring: 4 << 20,
        events_ring: 16 << 20,
        cgroup_controller: hierarchy.controller.map(|c| c.enumerator),
        ..SensorOptions::default()
    })
    .unwrap();
    let (state, events) = sensor.take_rings().unwrap();
    let pump = Pump::start(Drain::new(state, events)).unwrap();
    sensor.apply(plan).unwrap();
    for program in sensor.programs() {
        assert_eq!(program.degradation(), None);
    }
    let reader = std::thread::spawn({
        let batches = pump.batches.clone();
        move || batches.into_iter().flat_map(|b| b.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
    });
    action(&sensor);
    sensor.detach_all();
    pump.finish();
    let records = Records(reader.join().unwrap());
    pump.join().unwrap();
    records
}

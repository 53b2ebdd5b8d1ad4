//! Patches: server-side apply for one manager at a time, and JSON merge patches.

use serde_json::{Map, Value as Json};

/// The entry of a list that has the same key (`type` of conditions, else `name`) as one of another list.
fn key(item: &Json) -> Option<&Json> {
    item.get("type").or_else(|| item.get("name"))
}

fn is_keyed(items: &[Json]) -> bool {
    !items.is_empty() && items.iter().all(|item| item.get("type").is_some_and(Json::is_string))
}

/// Merges what is applied into the object. Conditions are a map by their type; other lists are replaced.
pub fn merge(base: &mut Json, applied: &Json) {
    match (base, applied) {
        (Json::Object(base), Json::Object(applied)) => {
            for (name, value) in applied {
                merge(base.entry(name.clone()).or_insert(Json::Null), value);
            }
        }
        (Json::Array(base), Json::Array(applied)) if is_keyed(applied) && is_keyed(base) => {
            for item in applied {
                match base.iter_mut().find(|old| key(old) == key(item)) {
                    Some(old) => merge(old, item),
                    None => base.push(item.clone()),
                }
            }
        }
        (base, applied) => *base = applied.clone(),
    }
}

/// Takes away what was applied before and is not any more.
pub fn take_away(base: &mut Json, before: &Json, now: &Json) {
    match (base, before) {
        (Json::Object(base), Json::Object(before)) => {
            for (name, value) in before {
                match now.get(name) {
                    None if name != "metadata" => _ = base.remove(name),
                    None => {}
                    Some(now) => {
                        if let Some(base) = base.get_mut(name) {
                            take_away(base, value, now);
                        }
                    }
                }
            }
        }
        (Json::Array(base), Json::Array(before)) if is_keyed(before) => {
            let now: Vec<_> = now.as_array().into_iter().flatten().filter_map(key).collect();
            let gone: Vec<_> = before.iter().filter_map(key).filter(|key| !now.contains(key)).collect();
            base.retain(|item| !key(item).is_some_and(|key| gone.contains(&key)));
        }
        _ => {}
    }
}

/// RFC 7396.
pub fn merge_patch(base: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        *base = patch.clone();
        return;
    };
    if !base.is_object() {
        *base = Json::Object(Map::new());
    }
    let base = base.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            base.remove(name);
        } else {
            merge_patch(base.entry(name.clone()).or_insert(Json::Null), value);
        }
    }
}

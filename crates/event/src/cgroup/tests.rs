use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn the_table_is_bounded_and_counts_what_it_refuses() {
    let mut groups = Cgroups::new(2);
    assert!(groups.insert(1, "/") && groups.insert(2, "/a"));
    assert!(!groups.insert(3, "/b"));
    assert!(groups.insert(2, "/c"), "a known group can be renamed");
    assert_eq!((groups.len(), groups.refused), (2, 1));
    groups.remove(1);
    assert!(groups.insert(3, "/b"));
}

#[test]
fn a_removed_group_stays_for_the_grace_period() {
    let mut groups = Cgroups::new(2);
    groups.insert(1, "/a");
    groups.insert(2, "/b");
    groups.retire(1, 10);
    groups.retire(1, 50);
    groups.prune(GRACE + 9);
    assert_eq!(groups.len(), 2);
    groups.prune(GRACE + 10);
    assert!(groups.get(1).is_none() && groups.get(2).is_some());
    // One that came back in the meantime is not the one that was removed.
    groups.retire(2, 20);
    groups.insert(2, "/b again");
    groups.prune(10 * GRACE);
    assert_eq!(groups.get(2).map(|g| &*g.path), Some("/b again"));
    // A removed group gives way to a new one.
    groups.insert(3, "/c");
    groups.retire(3, 30);
    assert!(groups.insert(4, "/d"));
    assert!(groups.get(3).is_none() && groups.refused == 0);
}

#[test]
fn a_container_is_described_in_all_its_groups_and_forgotten_with_the_last() {
    let mut groups = Cgroups::new(8);
    let path = format!("/docker/{ID}");
    groups.insert(1, &path);
    groups.insert(2, &format!("{path}/init"));
    assert!(groups.describe(ID, |c| (c.id, c.metadata.name) = (String::new(), Some("web".into()))));
    groups.insert(3, &format!("{path}/late"));
    for group in 1..=3 {
        let container = groups.get(group).and_then(|g| g.container.clone()).unwrap();
        assert_eq!((container.id.as_str(), container.metadata.name.as_deref()), (ID, Some("web")));
    }
    assert_eq!(groups.containers().count(), 1);
    groups.insert(1, "/moved");
    groups.remove(2);
    assert_eq!(groups.containers().count(), 1);
    // That an alert still holds it does not matter.
    let _held = groups.get(3).and_then(|g| g.container.clone());
    groups.remove(3);
    assert_eq!(groups.containers().count(), 0);
    assert!(!groups.describe(ID, |_| ()));
}

#[test]
fn pods_are_known_by_their_containers_whichever_comes_first() {
    let uid = "0c6a2b57-26f6-4d2e-9e41-7a0dbb5e7b9f";
    let pod = |name: &str| Pod { uid: uid.into(), name: name.into(), ..Pod::default() };
    let name =
        |groups: &Cgroups| groups.container(ID).and_then(|c| c.pod.as_ref()).map(|pod| pod.name.clone());
    let path = format!("/kubepods/pod{uid}/{ID}");
    let mut groups = Cgroups::new(2);
    groups.set_pod(uid, Some(pod("first")));
    groups.insert(1, &path);
    assert_eq!(name(&groups).as_deref(), Some("first"));
    groups.set_pod(uid, Some(pod("second")));
    assert_eq!(name(&groups).as_deref(), Some("second"));
    assert_eq!(
        groups.get(1).and_then(|g| g.container.clone()).and_then(|c| c.pod.clone()).unwrap().name,
        "second"
    );
    assert_eq!(groups.containers_of_pod(uid), [ID]);
    // A pod that is gone is still the one that its last processes ran in.
    groups.set_pod(uid, None);
    assert_eq!((name(&groups).as_deref(), groups.pods().count()), (Some("second"), 0));
    for other in ["a", "b", "c"] {
        groups.set_pod(other, Some(Pod { uid: other.into(), ..Pod::default() }));
    }
    assert_eq!(groups.pods().count(), 2, "bounded like the groups");
}

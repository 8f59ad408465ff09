use super::*;

fn rows(view: &View) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let fresh = View::empty();
    fresh.restore(&view.savepoint());
    let rows = fresh.changes().into_iter();
    rows.map(|(key, value)| (key, value.unwrap().to_vec()))
        .collect()
}

/// A store that takes changes as they come.
fn apply(stored: &mut BTreeMap<Vec<u8>, Vec<u8>>, view: &View) -> usize {
    let changes = view.changes();
    for (key, value) in &changes {
        match value {
            Some(value) => drop(stored.insert(key.clone(), value.to_vec())),
            None => assert!(
                stored.remove(key).is_some(),
                "deleted a row that was not there"
            ),
        }
    }
    view.mark_saved();
    changes
        .iter()
        .map(|(_, value)| value.as_ref().map_or(0, |value| value.len()))
        .sum()
}

fn load(stored: &BTreeMap<Vec<u8>, Vec<u8>>) -> View {
    View::from_rows(stored.clone().into_iter().collect()).unwrap()
}

/// Bytes without structure, the same for a seed.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

fn set(view: &View, tag: u8, value: &[u8]) {
    view.set_own_row(tag, Some(Rc::from(value)));
}

#[test]
fn a_short_value_is_one_row_with_a_version() {
    let view = View::empty();
    set(&view, 9, b"secret");
    let changes = view.changes();
    assert_eq!(changes, [(vec![9], Some(Rc::from(*b"\x01\x00secret")))]);
    view.mark_saved();
    assert_eq!(view.changes(), []);
}

#[test]
fn what_is_stored_loads_again() {
    let mut stored = BTreeMap::new();
    let view = View::empty();
    set(&view, 1, &noise(100_000, 1));
    set(&view, 2, &noise(10, 2));
    set(&view, 3, &[]);
    apply(&mut stored, &view);
    let loaded = load(&stored);
    for tag in 1..=3 {
        assert_eq!(loaded.own_row(tag), view.own_row(tag));
    }
    assert_eq!(loaded.changes(), [], "loading changes nothing");
}

#[test]
fn rewriting_a_value_with_the_same_bytes_changes_no_row() {
    let mut stored = BTreeMap::new();
    let view = View::empty();
    set(&view, 1, &noise(50_000, 1));
    apply(&mut stored, &view);
    set(&view, 1, &noise(50_000, 1));
    assert_eq!(view.changes(), []);
}

#[test]
fn any_sequence_of_edits_leaves_the_store_equal_to_a_fresh_layout() {
    let mut stored = BTreeMap::new();
    let mut view = View::empty();
    let mut value = noise(60_000, 5);
    let random = noise(400, 77);
    for (step, dice) in random.iter().map(|byte| usize::from(*byte)).enumerate() {
        let place = (dice * 7919 + step * 104_729) % value.len().max(1);
        match dice % 5 {
            0 => value
                .splice(place..place, noise(dice + 1, step as u64))
                .for_each(drop),
            1 => value
                .drain(place..(place + dice).min(value.len()))
                .for_each(drop),
            2 => value
                .iter_mut()
                .skip(place)
                .take(40)
                .for_each(|byte| *byte ^= 0x5a),
            3 if dice > 250 => value.truncate(100),
            _ => {}
        }
        set(&view, 1, &value);
        apply(&mut stored, &view);
        let loaded = load(&stored);
        assert_eq!(loaded.own_row(1).as_deref(), Some(value.as_slice()));
        let orphans = stored.len() - rows(&view).len();
        assert_eq!(orphans, 0, "no chunk is left behind");
        if dice % 3 == 0 {
            view = loaded;
        }
    }
}

#[test]
fn a_small_edit_of_a_big_value_writes_little_also_after_loading() {
    let mut stored = BTreeMap::new();
    let view = View::empty();
    let mut value = noise(300_000, 5);
    set(&view, 1, &value);
    apply(&mut stored, &view);
    for reload in [false, true] {
        let view = if reload { load(&stored) } else { view.clone() };
        value[150_000] ^= 1;
        set(&view, 1, &value);
        let written = apply(&mut stored, &view);
        assert!((1..6_000).contains(&written), "{written}");
    }
}

#[test]
fn restoring_a_savepoint_undoes_writes_and_deletes() {
    let view = View::empty();
    set(&view, 1, &noise(20_000, 1));
    set(&view, 2, b"kept");
    view.mark_saved();
    let savepoint = view.savepoint();
    set(&view, 1, b"other");
    set(&view, 3, b"new");
    view.set_own_row(2, None);
    assert!(!view.changes().is_empty());
    view.restore(&savepoint);
    assert_eq!(view.changes(), []);
    assert_eq!(view.own_row(2).as_deref(), Some(b"kept".as_slice()));
}

#[test]
fn clearing_deletes_every_row_and_no_other() {
    let mut stored = BTreeMap::new();
    let view = View::empty();
    set(&view, 1, &noise(20_000, 1));
    set(&view, 2, b"x");
    apply(&mut stored, &view);
    view.clear();
    let deleted = view.changes();
    assert!(deleted.iter().all(|(_, value)| value.is_none()));
    apply(&mut stored, &view);
    assert!(stored.is_empty());
    assert!(view.is_empty());
}

#[test]
fn lent_key_packages_are_found_and_never_written() {
    let view = View::empty();
    view.lend_key_package(b"reference", Rc::from(*b"bundle"));
    assert_eq!(view.changes(), []);
    let key = storage::key_package_key(b"reference");
    assert_eq!(view.get(&key).as_deref(), Some(b"bundle".as_slice()));
}

#[test]
fn damaged_rows_are_refused() {
    let mut stored = BTreeMap::new();
    let view = View::empty();
    set(&view, 1, &noise(20_000, 1));
    apply(&mut stored, &view);
    let without = |key: &Vec<u8>| {
        let mut rows = stored.clone();
        rows.remove(key);
        View::from_rows(rows.into_iter().collect()).map(drop)
    };
    let chunk = stored.keys().find(|key| key[0] == 0xff).unwrap();
    assert_eq!(without(chunk), Err(ViewError::MissingChunk));
    for value in [
        vec![],
        vec![1],
        vec![2, 0, 7],
        vec![1, 2, 7],
        vec![1, 1, 0x80],
        vec![1, 1, 255, 255, 255, 255, 255, 255, 1],
    ] {
        let refused = View::from_rows(vec![(vec![1], value.clone())]).map(drop);
        assert!(refused.is_err(), "{value:?}");
    }
}

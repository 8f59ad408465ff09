//! Damaged archives: never a panic, never a hang, and never something else than was in them.

use super::*;

/// Small, seeded and the same everywhere (xorshift64).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

fn owner(name: &str) -> InboxId {
    let archives = archives();
    match name {
        "made-denied-dm.bin" => named_inbox(&archives, "alice"),
        "node-large.bin" => named_inbox(&archives, "erin"),
        "browser-default.bin" => named_inbox(&archives, "zoe"),
        name if name.starts_with("node-") => named_inbox(&archives, "alice"),
        _ => inbox("e"),
    }
}

fn all_files() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    made::FILES.iter().chain(official::FILES).copied()
}

#[test]
fn a_file_cut_anywhere_is_truncated_or_was_complete() {
    for (name, file) in all_files() {
        let context = context(&owner(name));
        let whole = import(file, &context, 1 << 20);
        // Every length of small files, and a few hundred of large ones.
        for end in (0..file.len()).step_by(1 + file.len() / 1000) {
            let cut = import(&file[..end], &context, 1 << 20);
            let only_lost_what_follows_the_frame = cut == whole;
            let was_bad_before = whole.is_err() && cut.is_err();
            assert!(
                cut == Err(ArchiveError::Truncated)
                    || was_bad_before
                    || only_lost_what_follows_the_frame && name == "made-trailing-bytes.bin",
                "{name} cut at {end}: {cut:?}"
            );
        }
    }
}

#[test]
fn a_file_with_a_changed_bit_is_refused_or_means_the_same() {
    let mut random = Seeded(0xa5c4_17e5);
    for (name, file) in all_files() {
        let context = context(&owner(name));
        let whole = import(file, &context, 1 << 20);
        // Ten thousand in all, most of them in the small files, which show every shape.
        let tries = if file.len() > 20_000 { 20 } else { 250 };
        for _ in 0..tries {
            let mut changed = file.to_vec();
            let at = random.below(changed.len());
            changed[at] ^= 1 << random.below(8);
            let result = import(&changed, &context, 1 << 20);
            assert!(
                result.is_err() || result == whole,
                "{name} changed at {at}: {result:?}"
            );
        }
    }
}

#[test]
fn after_an_error_a_reader_stays_in_error() {
    let (_, file) = made::FILES
        .iter()
        .find(|(name, _)| *name == "made-bad-tag.bin")
        .unwrap();
    let mut reader = ArchiveReader::new(key());
    reader.push(file).unwrap();
    let error = loop {
        match reader.next_element() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the bad tag was not seen"),
            Err(error) => break error,
        }
    };
    assert_eq!(reader.next_element(), Err(error));
    assert_eq!(reader.push(file), Err(error));
    assert_eq!(reader.finish(), Err(error));
}

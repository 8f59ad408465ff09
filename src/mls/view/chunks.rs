//! Cutting a long value into chunks at places that its content decides.
//!
//! A cut depends on the last 64 bytes before it and on the distance to the previous cut, so an
//! insertion or a change moves only the cuts near it; the chunks further on stay what they were,
//! and so do their rows. This is the FastCDC idea with a gear hash.

/// Shortest chunk, unless it is the last one.
const MIN: usize = 384;
/// Longest chunk.
const MAX: usize = 4 * 1024;
/// A cut is made where these bits of the hash are zero: every 1,024 bytes on average after
/// [`MIN`]. High bits, because those depend on the most bytes.
const MASK: u64 = 0x3ff << 54;
/// How far back the hash reaches.
const WINDOW: usize = 64;

/// A chunk of a value and the hash of its end, a cheap fingerprint.
pub(super) struct Chunk<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) hash: u64,
}

/// The chunks of `value`, in order; concatenated they are `value`.
pub(super) fn split(value: &[u8]) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::with_capacity(value.len() / 1024 + 1);
    let mut rest = value;
    while !rest.is_empty() {
        let (length, hash) = first_cut(rest);
        let (bytes, tail) = rest.split_at(length);
        chunks.push(Chunk { bytes, hash });
        rest = tail;
    }
    chunks
}

/// Where the first chunk of `bytes` ends, and the hash there.
fn first_cut(bytes: &[u8]) -> (usize, u64) {
    let start = bytes.len().min(MIN.saturating_sub(WINDOW));
    let end = bytes.len().min(MAX);
    let mut hash = 0u64;
    for (position, byte) in bytes.iter().enumerate().take(end).skip(start) {
        hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
        if position + 1 >= MIN && hash & MASK == 0 {
            return (position + 1, hash);
        }
    }
    (end, hash)
}

/// A random-looking 64-bit number for each byte value.
static GEAR: [u64; 256] = gear();

const fn gear() -> [u64; 256] {
    let mut table = [0u64; 256];
    let mut index = 0;
    let mut seed = 0x736f_7474_6f00_0001u64;
    while index < table.len() {
        // splitmix64
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[index] = z ^ (z >> 31);
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes without structure, the same for a seed.
    fn noise(length: usize, mut seed: u64) -> Vec<u8> {
        (0..length)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed.to_le_bytes()[3]
            })
            .collect()
    }

    fn lengths(value: &[u8]) -> Vec<usize> {
        split(value).iter().map(|chunk| chunk.bytes.len()).collect()
    }

    #[test]
    fn the_chunks_of_a_value_put_together_are_the_value() {
        for length in [0, 1, 383, 384, 385, 4096, 4097, 100_000] {
            let value = noise(length, 7);
            let whole: Vec<u8> = split(&value)
                .iter()
                .flat_map(|c| c.bytes.to_vec())
                .collect();
            assert_eq!(whole, value);
        }
    }

    #[test]
    fn chunks_are_about_a_kilobyte_and_never_outside_the_limits() {
        let lengths = lengths(&noise(1_000_000, 3));
        let all_but_last = &lengths[..lengths.len() - 1];
        assert!(
            all_but_last
                .iter()
                .all(|length| (MIN..=MAX).contains(length))
        );
        assert!((700..1_500).contains(&lengths.len()), "{}", lengths.len());
    }

    #[test]
    fn bytes_of_one_value_are_cut_at_the_longest_length() {
        assert!(lengths(&[0; 20_000]).iter().all(|length| *length <= MAX));
    }

    #[test]
    fn an_insertion_changes_only_chunks_near_it() {
        let before = noise(200_000, 9);
        let mut after = before.clone();
        after.splice(100_000..100_000, [1, 2, 3]);
        let old: std::collections::BTreeSet<Vec<u8>> =
            split(&before).iter().map(|c| c.bytes.to_vec()).collect();
        let new = split(&after)
            .iter()
            .filter(|c| !old.contains(c.bytes))
            .count();
        assert!((1..=4).contains(&new), "{new} new chunks");
    }
}

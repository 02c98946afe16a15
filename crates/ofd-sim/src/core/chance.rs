//! Randomness that depends only on a seed and on what is asked about, so that it does not matter who comes first.

/// A number that is evenly spread over all of `u64` and always the same for the same input.
pub(super) fn roll(seed: u64, stream: u64, about: &str, count: u64) -> u64 {
    // FNV-1a over the text, then SplitMix64's finalizer to spread neighbours apart.
    let mut x = 0xcbf2_9ce4_8422_2325_u64;
    for byte in about.bytes() {
        x = (x ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    [seed, stream, count].into_iter().fold(x, |x, part| mix(x ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whether a roll falls under the chance `p`.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact in an f64")]
pub(super) fn hits(roll: u64, p: f64) -> bool {
    ((roll >> 11) as f64) / ((1_u64 << 53) as f64) < p
}

/// A roll brought into `0..=max`.
pub(super) fn within(roll: u64, max: u64) -> u64 {
    let range = u128::from(max) + 1;
    u64::try_from((u128::from(roll) * range) >> 64).expect("below max + 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolls_are_repeatable_and_even() {
        assert_eq!(roll(7, 1, "k", 3), roll(7, 1, "k", 3));
        let hit = |seed| (0..10_000).filter(|n| hits(roll(seed, 0, "key", *n), 0.3)).count();
        for seed in [0, 1, 2, u64::MAX] {
            assert!((2_800..3_200).contains(&hit(seed)), "seed {seed}: {}", hit(seed));
        }
        assert!((0..1000).all(|n| !hits(roll(1, 0, "", n), 0.0) && hits(roll(1, 0, "", n), 1.0)));
        assert_eq!((0..1000).map(|n| within(roll(1, 0, "", n), 3)).max(), Some(3));
    }
}

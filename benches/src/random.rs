//! Random numbers that can be had again.

/// Numbers that follow from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A byte below `end`.
    pub fn byte(&mut self, end: u8) -> u8 {
        u8::try_from(self.number() % u64::from(end)).unwrap_or_default()
    }

    /// A number below `end`, or zero if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.number() % end).unwrap_or_default()
    }

    /// From zero to one.
    // 32 bits fit.
    #[allow(clippy::cast_precision_loss)]
    pub fn part(&mut self) -> f64 {
        (self.number() >> 32) as f64 / (u64::from(u32::MAX) + 1) as f64
    }
}

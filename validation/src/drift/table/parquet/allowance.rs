//! How much reading a file may take, by how long it is.
//!
//! A run of one value takes a few bytes however long it is, and so does one long text that all rows refer to. Both are
//! what Parquet is good at, up to a point: beyond it a file is made to keep its reader busy.

use std::cell::Cell;

use super::Refused;

/// Values that a file of any size may have.
const VALUES: u64 = 1 << 28;
/// Values for each of its bytes beside those.
const VALUES_A_BYTE: u64 = 256;
/// Bytes of text that a file of any size may have, decoded.
const TEXT: u64 = 8 << 30;
/// Bytes of text for each of its bytes beside those.
const TEXT_A_BYTE: u64 = 1_024;

pub(super) struct Allowance {
    file: u64,
    text: Cell<u64>,
}

impl Allowance {
    /// Of a file of so many bytes.
    pub(super) const fn of(file: u64) -> Self {
        Self { file, text: Cell::new(TEXT.saturating_add(TEXT_A_BYTE.saturating_mul(file))) }
    }

    /// So many values are to be read in all.
    pub(super) fn expect_values(&self, values: u64) -> Result<(), Refused> {
        let most = VALUES.saturating_add(VALUES_A_BYTE.saturating_mul(self.file));
        if values <= most {
            return Ok(());
        }
        let why =
            format!("it says it has {values} values in {} bytes, and {most} are read of those", self.file);
        Err(Refused(format!("{why}; name the columns of interest, or divide it into several files")))
    }

    /// So many bytes of text more were decoded.
    pub(super) fn take_text(&self, bytes: u64) -> Result<(), Refused> {
        match self.text.get().checked_sub(bytes) {
            Some(left) => {
                self.text.set(left);
                Ok(())
            }
            None => Err(Refused(format!(
                "its texts are too long for a file of {} bytes: they repeat long ones over and over; name the columns \
                 of interest, or divide it into several files",
                self.file
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_a_file_the_more_is_read() {
        let allowance = Allowance::of(1_000);
        assert!(allowance.expect_values(VALUES + 256_000).is_ok());
        let why = allowance.expect_values(VALUES + 256_001).unwrap_err().0;
        assert!(why.contains("268691457 values in 1000 bytes") && why.contains("; "), "{why}");
        let (long, all) = (4 << 20, TEXT + 1_024_000);
        (0..all / long).for_each(|_| allowance.take_text(long).unwrap());
        assert!(allowance.take_text(all % long).is_ok());
        assert!(allowance.take_text(1).unwrap_err().0.contains("repeat long ones"));
        assert!(Allowance::of(u64::MAX).expect_values(u64::MAX).is_ok());
    }
}

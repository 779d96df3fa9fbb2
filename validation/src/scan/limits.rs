//! How much a file may cost the one who scans it.

use std::fmt;

/// How much one file may cost, whatever it holds. What exceeds a limit is not read further, and the
/// file is then never clean.
///
/// Work is counted, not timed, so that a verdict does not depend on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Limits {
    /// Most findings that are kept; the worst are.
    pub detections: u32,
    /// Most containers around a member.
    pub depth: u8,
    /// Most unpacked bytes that are held at once: all that containers in each other unpack to, which goes to temporary
    /// files but for the first 4 MiB of each.
    pub disk: u64,
    /// Most distinct imports of a pickle.
    pub imports: u32,
    /// Most members of all containers together.
    pub members: u32,
    /// Most strings in the memo of a pickle that may name an import; 4 bytes each. Indexes may be four
    /// times as high.
    pub memo: u32,
    /// Most units of work: one for each byte of a pickle that is read, each record, and each 64 bytes
    /// unpacked or searched.
    pub operations: u64,
    /// Most bytes out for a byte in, beyond the first MiB.
    pub ratio: u32,
    /// Most entries on the stack of a pickle, runs of plain values counted once; 8 bytes each.
    pub stack: u32,
    /// Most bytes unpacked from all containers of the file together, one after another.
    pub unpacked: u64,
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    Depth,
    Disk,
    Imports,
    Members,
    Memo,
    Operations,
    Ratio,
    Search,
    Stack,
    Unpacked,
}

impl Limit {
    /// Whether it is the end of the whole file, and not only of a member.
    pub(crate) const fn ends_all(self) -> bool {
        matches!(self, Self::Members | Self::Operations | Self::Unpacked)
    }
}

/// What is left of the limits that are for the whole file.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    members: u32,
    operations: u64,
    unpacked: u64,
    /// Unpacked bytes that are held.
    held: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            detections: 1000,
            depth: 8,
            disk: 8 << 30,
            imports: 10_000,
            members: 100_000,
            memo: 16 << 20,
            operations: 4_000_000_000,
            ratio: 200,
            stack: 2 << 20,
            unpacked: 16 << 30,
        }
    }
}

impl Budget {
    pub(crate) const fn new(limits: Limits) -> Self {
        let Limits { members, operations, unpacked, .. } = limits;
        Self { limits, members, operations, unpacked, held: 0 }
    }

    /// How much work was done.
    pub(crate) const fn spent(&self) -> u64 {
        self.limits.operations - self.operations
    }

    /// Does so much work.
    pub(crate) fn work(&mut self, operations: u64) -> Result<(), Limit> {
        self.operations = self.operations.checked_sub(operations).ok_or(Limit::Operations)?;
        Ok(())
    }

    /// Opens one more member.
    pub(crate) fn member(&mut self) -> Result<(), Limit> {
        self.members = self.members.checked_sub(1).ok_or(Limit::Members)?;
        Ok(())
    }

    /// Unpacks so many more bytes, which are held until they are [let go](Self::let_go).
    pub(crate) fn unpack(&mut self, bytes: u64) -> Result<(), Limit> {
        self.unpacked = self.unpacked.checked_sub(bytes).ok_or(Limit::Unpacked)?;
        let held = self.held.saturating_add(bytes);
        if held > self.limits.disk {
            return Err(Limit::Disk);
        }
        self.held = held;
        self.work(bytes / 64)
    }

    /// Unpacked bytes that are held.
    pub(crate) const fn held(&self) -> u64 {
        self.held
    }

    /// Lets all go that is held beyond so many bytes.
    pub(crate) const fn let_go(&mut self, held: u64) {
        self.held = held;
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Depth => "containers are nested deeper than `depth` allows",
            Self::Disk => "containers in each other unpack to more bytes at once than `disk` allows",
            Self::Imports => "there are more distinct imports than `imports` allows",
            Self::Members => "there are more members than `members` allows",
            Self::Memo => "the memo is larger than `memo` allows",
            Self::Operations => "it takes more work than `operations` allows",
            Self::Ratio => "it unpacks to more than `ratio` times its size",
            Self::Search => "what is no pickle begins like one more often than a search can try",
            Self::Stack => "the stack is deeper than `stack` allows",
            Self::Unpacked => "it unpacks to more bytes than `unpacked` allows",
        })
    }
}

//! The servers of a backend: what weights they have, and who moved them.
//!
//! Who moved them is in a process-wide variable, as HAProxy has no better place that needs no configuration:
//! the fence as a number, with `.moving` behind it while weights are being moved.

use tidegate_registry::Seq;

use super::{
    failure::{Failure, Trouble},
    socket::Socket,
};
use crate::{Fence, Slot, Traffic, rounding};

/// Names of the servers between which a backend splits.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) stable: String,
    pub(super) baseline: Option<String>,
    pub(super) candidate: String,
}

/// A backend of a running HAProxy.
#[derive(Debug)]
pub(super) struct Backend<'s> {
    pub(super) socket: &'s Socket,
    pub(super) name: &'s str,
    pub(super) servers: &'s Names,
}

/// One reading of a backend.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The last change.
    pub(super) mark: Mark,
    sides: Vec<Side>,
}

/// A server of the backend that is a side of the route.
#[derive(Clone, Copy, Debug)]
struct Side {
    slot: Slot,
    weight: u64,
    /// Whether it takes requests at all: one that drains or is in maintenance does not.
    open: bool,
}

/// What the variable says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) fence: Option<Fence>,
    pub(super) moving: bool,
}

/// A backend that cannot be split as it is.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("it has no backend `{0}`; write the route as the name of the backend")]
    Backend(String),
    #[error(
        "the variable `{variable}` is `{value}`, which is no fence; restart HAProxy, or set it to str(-)"
    )]
    Mark { variable: String, value: String },
    #[error("nothing in it gets requests: all weights are 0; give one of the servers a weight")]
    Nowhere,
    #[error("it has no server `{0}`; add it to the backend, with `weight 0` until it is to get traffic")]
    Server(String),
    #[error(
        "it also sends requests to the server `{0}`, which is no side of this route; remove it or set its weight to 0"
    )]
    Stranger(String),
}

impl Names {
    fn of(&self, slot: Slot) -> Option<&str> {
        match slot {
            Slot::Stable => Some(&self.stable),
            Slot::Baseline => self.baseline.as_deref(),
            Slot::Candidate => Some(&self.candidate),
        }
    }

    fn each(&self) -> impl Iterator<Item = (Slot, &str)> {
        let slots = [Slot::Stable, Slot::Baseline, Slot::Candidate].into_iter();
        slots.filter_map(|slot| self.of(slot).map(|name| (slot, name)))
    }
}

impl Backend<'_> {
    /// Weights and mark as they were at one moment, unless the mark says that they are being moved.
    pub(super) async fn read(&self) -> Result<Reading, Failure> {
        let (variable, backend) = (self.variable(), self.name);
        let answer = self
            .socket
            .ask(&format!("get var {variable};show servers state {backend};get var {variable}"))
            .await?;
        let lines: Vec<_> = answer.lines().filter(|line| !line.is_empty()).collect();
        let [first, table @ .., last] = lines.as_slice() else { return Err(Failure::unreadable(&answer)) };
        let before = self.mark(first)?.ok_or_else(|| Failure::unreadable(&answer))?;
        let mark = self.mark(last)?.ok_or_else(|| Failure::later(Trouble::BrokeOff))?;
        let mut reading = self.table(table)?;
        reading.mark = Mark { moving: mark.moving || before != mark, ..mark };
        Ok(reading)
    }

    /// Writes the mark.
    pub(super) async fn mark_as(&self, mark: Mark) -> Result<(), Failure> {
        self.socket.tell(&self.marking(mark)).await
    }

    /// Moves the weights of `from` to those of `to` and then writes its mark.
    pub(super) async fn set(&self, from: &Reading, to: &Reading) -> Result<(), Failure> {
        let lowered =
            |side: &Side| from.sides.iter().any(|old| old.slot == side.slot && old.weight > side.weight);
        let mut sides = to.sides.clone();
        // Raised before lowered, so that there is no moment in which nobody has a weight.
        sides.sort_by_key(lowered);
        let mut commands = String::new();
        for Side { slot, weight, .. } in sides {
            let server = self.servers.of(slot).unwrap_or_default();
            commands.push_str(&format!("set server {}/{server} weight {weight};", self.name));
        }
        commands.push_str(&self.marking(to.mark));
        self.socket.tell(&commands).await
    }

    fn marking(&self, mark: Mark) -> String {
        let fence = mark.fence.map_or_else(|| "-".to_owned(), |fence| fence.to_string());
        let moving = if mark.moving { ".moving" } else { "" };
        format!("experimental-mode on;set var {} str({fence}{moving})", self.variable())
    }

    /// Names of variables have letters, digits, `.` and `_`.
    fn variable(&self) -> String {
        let mut variable = "proc.tidegate.".to_owned();
        for byte in self.name.bytes() {
            if byte.is_ascii_alphanumeric() {
                variable.push(char::from(byte));
            } else {
                variable.push_str(&format!("_{byte:02x}"));
            }
        }
        variable
    }

    /// The mark in an answer to `get var`, if the line is one.
    fn mark(&self, line: &str) -> Result<Option<Mark>, Failure> {
        if line == "Variable not found." {
            return Ok(Some(Mark { fence: None, moving: false }));
        }
        let said = line.strip_prefix(&self.variable()).and_then(|rest| rest.strip_prefix(": type="));
        let Some(said) = said else { return Ok(None) };
        let value = said.split_once(" value=<").and_then(|(_, value)| value.strip_suffix('>'));
        let mark = value.and_then(|value| {
            let (fence, moving) = value.strip_suffix(".moving").map_or((value, false), |fence| (fence, true));
            let fence = match fence {
                "-" => None,
                fence => Some(Fence::new(fence.parse().ok().and_then(Seq::new)?)),
            };
            Some(Mark { fence, moving })
        });
        mark.map(Some).ok_or_else(|| {
            let value = said.chars().take(100).filter(|c| !c.is_control()).collect();
            Failure::never(Unfit::Mark { variable: self.variable(), value })
        })
    }

    /// The weights in an answer to `show servers state`: its version, the names of its columns, the servers.
    fn table(&self, lines: &[&str]) -> Result<Reading, Failure> {
        let (columns, rows) = match lines {
            [_version, columns, rows @ ..] if columns.starts_with("# ") => (columns, rows),
            [said, ..] if said.starts_with("Can't find backend") => {
                return Err(Failure::never(Unfit::Backend(self.name.to_owned())));
            }
            lines => return Err(Failure::unreadable(&lines.join(" "))),
        };
        let unreadable = || Failure::unreadable(columns);
        let place = |column: &str| columns.split(' ').skip(1).position(|name| name == column);
        let [name, admin, weight] = ["srv_name", "srv_admin_state", "srv_uweight"].map(place);
        let (name, admin, weight) = name
            .zip(admin)
            .zip(weight)
            .map(|((name, admin), weight)| (name, admin, weight))
            .ok_or_else(unreadable)?;
        let mut reading = Reading { mark: Mark { fence: None, moving: false }, sides: Vec::new() };
        let mut found = Vec::new();
        for row in rows {
            let fields: Vec<_> = row.split(' ').collect();
            let number = |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok());
            let name = fields.get(name).ok_or_else(unreadable)?;
            let (admin, weight) = number(admin).zip(number(weight)).ok_or_else(unreadable)?;
            found.push((*name, admin == 0, weight.min(256)));
        }
        for (slot, server) in self.servers.each() {
            let Some(place) = found.iter().position(|(name, ..)| *name == server) else {
                return Err(Failure::never(Unfit::Server(server.to_owned())));
            };
            let (_, open, weight) = found.swap_remove(place);
            reading.sides.push(Side { slot, weight, open });
        }
        match found.iter().find(|(_, open, weight)| *open && *weight > 0) {
            Some((stranger, ..)) => Err(Failure::never(Unfit::Stranger((*stranger).to_owned()))),
            None => Ok(reading),
        }
    }
}

impl Reading {
    /// The traffic that they give.
    pub(super) fn traffic(&self) -> Result<Traffic, Failure> {
        let weight = |slot| self.sides.iter().find(|side| side.slot == slot).map_or(0, Side::in_force);
        rounding::split_of([Slot::Stable, Slot::Baseline, Slot::Candidate].map(weight))
            .ok_or_else(|| Failure::never(Unfit::Nowhere))
    }

    /// This reading with the weights of `traffic`, in per cent, and a mark.
    pub(super) fn with(&self, traffic: &Traffic, mark: Mark) -> Self {
        let percents = rounding::parts_of(traffic, 100);
        let sides =
            self.sides.iter().map(|side| Side { weight: percents[side.slot as usize], ..*side }).collect();
        Self { mark, sides }
    }

    /// Whether the servers have exactly the shares of `traffic`.
    pub(super) fn gives(&self, traffic: &Traffic) -> bool {
        let total = self.total();
        let exact = |side: &Side| {
            side.in_force() * 10_000 == u64::from(traffic.weight(side.slot).as_basis_points()) * total
        };
        total > 0 && self.sides.iter().all(exact)
    }

    fn total(&self) -> u64 {
        self.sides.iter().map(Side::in_force).sum()
    }
}

impl Side {
    const fn in_force(&self) -> u64 {
        if self.open { self.weight } else { 0 }
    }
}

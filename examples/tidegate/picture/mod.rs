//! Pictures of rollouts and watches in words and bars: what they have in common.

mod criterion;
mod event;
mod obstacle;
mod paper;
mod screen;

pub(crate) use self::{
    criterion::{criterion, widest},
    event::event,
    obstacle::Obstacle,
    paper::Paper,
    screen::Screen,
};

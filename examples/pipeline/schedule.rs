//! Which stages can run, given what is done. Pure: stages are their indices, and what matters of each is what it needs.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};

/// For each stage the ones that have to have passed before it.
pub(crate) type Needs = [BTreeSet<usize>];

/// The stages that can begin now, in their order: what they need has passed, and they are not in `tried`, which holds
/// those that passed, too. Not more than are `free` to be begun.
pub(crate) fn ready(
    needs: &Needs,
    passed: &BTreeSet<usize>,
    tried: &BTreeSet<usize>,
    free: usize,
) -> Vec<usize> {
    let can = |index: &usize| !tried.contains(index) && needs[*index].is_subset(passed);
    (0..needs.len()).filter(can).take(free).collect()
}

/// Everything that has to have passed before `index`, without itself.
pub(crate) fn before(needs: &Needs, index: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut pending: Vec<usize> = needs[index].iter().copied().collect();
    while let Some(next) = pending.pop() {
        if found.insert(next) {
            pending.extend(&needs[next]);
        }
    }
    found
}

/// Everything that cannot begin before `index` has passed, and itself: what has to be done again with it.
pub(crate) fn after(needs: &Needs, index: usize) -> BTreeSet<usize> {
    (0..needs.len()).filter(|&other| other == index || before(needs, other).contains(&index)).collect()
}

/// The shortest circle of stages that need each other, the first one again at its end, if there is any.
pub(crate) fn circle(needs: &Needs) -> Option<Vec<usize>> {
    let circles = (0..needs.len()).filter_map(|start| back(needs, start));
    circles.min_by_key(Vec::len)
}

/// The shortest way from `start` along what is needed back to it.
fn back(needs: &Needs, start: usize) -> Option<Vec<usize>> {
    let mut came_from = BTreeMap::new();
    let mut pending = VecDeque::from([start]);
    while let Some(here) = pending.pop_front() {
        for &next in &needs[here] {
            if next == start {
                let mut way = vec![start, here];
                while let Some(&before) = came_from.get(way.last()?) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if let Entry::Vacant(unseen) = came_from.entry(next) {
                unseen.insert(here);
                pending.push_back(next);
            }
        }
    }
    None
}

//! Two versions and the same cases.

use proptest::prelude::*;
use tidegate_validation::statistics::Paired;

use crate::{close, holds, near, share};

fn cases(n: u64, gained: u64, lost: u64) -> Paired {
    Paired::new(n, gained, lost).unwrap()
}

#[test]
fn mcnemar_agrees_with_scipy() {
    close(cases(200, 15, 5).mcnemar(), 0.04138946533203125);
    close(cases(200, 5, 15).mcnemar(), 0.04138946533203125);
    close(cases(20, 15, 5).mcnemar_better(), 0.020694732666015625);
    close(cases(3, 0, 3).mcnemar(), 0.25);
    assert_eq!(cases(20, 7, 7).mcnemar(), 1.0);
    assert_eq!(cases(20, 0, 0).mcnemar(), 1.0);
    close(cases(1000, 400, 500).mcnemar(), 0.0009564441369189373);
}

#[test]
fn tango_agrees_with_the_brief() {
    near(cases(200, 4, 6).tango(0.95).unwrap(), (-0.046789, 0.024561));
    near(cases(200, 4, 6).tango(0.90).unwrap(), (-0.039720, 0.017978));
}

/// The bounds have a closed form there.
#[test]
fn without_an_unlike_case_something_may_still_be_between_them() {
    let z2 = 1.959_963_985_f64.powi(2);
    near(cases(50, 0, 0).tango(0.95).unwrap(), (-z2 / (50.0 + z2), z2 / (50.0 + z2)));
}

#[test]
fn cases_are_counted() {
    let seen = [(true, true), (true, false), (true, false), (false, true), (false, false)];
    let counted = Paired::count(seen).unwrap();
    assert_eq!(counted, cases(5, 2, 1));
    near((counted.difference(), counted.discordance()), (0.2, 0.6));
    assert_eq!(Paired::count([]), None);
    assert_eq!(Paired::new(2, 2, 1), None);
    assert_eq!(Paired::new(2, u64::MAX, 1), None);
}

/// Numbers of gained and lost cases among `n`, at these rates.
fn draw(random: &mut fastrand::Rng, n: u64, gain: f64, loss: f64) -> Paired {
    let (mut gained, mut lost) = (0, 0);
    for _ in 0..n {
        let at = random.f64();
        gained += u64::from(at < gain);
        lost += u64::from((gain..gain + loss).contains(&at));
    }
    cases(n, gained, lost)
}

#[test]
fn intervals_hold_about_as_often_as_they_say() {
    for (n, gain, loss) in [(30, 0.1, 0.1), (50, 0.02, 0.06), (100, 0.3, 0.1), (500, 0.01, 0.02)] {
        let held = share(3_000, |random| holds(draw(random, n, gain, loss).tango(0.95), gain - loss));
        assert!((0.935..0.985).contains(&held), "{held} for {n}, {gain}, {loss}");
    }
}

#[test]
fn equal_versions_are_seldom_called_unequal() {
    for (n, rate) in [(20, 0.2), (100, 0.1), (400, 0.25)] {
        let alarms = share(4_000, |random| draw(random, n, rate, rate).mcnemar() <= 0.05);
        assert!(alarms <= 0.055, "{alarms} for {n}, {rate}");
    }
}

#[test]
fn what_is_worse_by_the_margin_seldom_passes() {
    for (n, gain, loss) in [(100, 0.05, 0.1), (300, 0.02, 0.07), (50, 0.1, 0.15)] {
        let passed = share(4_000, |random| draw(random, n, gain, loss).tango(0.9).unwrap().0 > -0.05);
        assert!(passed <= 0.065, "{passed} for {n}, {gain}, {loss}");
    }
}

proptest! {
    #[test]
    fn sides_are_alike(gained in 0_u64..60, lost in 0_u64..60, others in 0_u64..100, level in 0.5_f64..0.999) {
        prop_assume!(gained + lost + others > 0);
        let n = gained + lost + others;
        let (least, most) = cases(n, gained, lost).tango(level).unwrap();
        let (other_least, other_most) = cases(n, lost, gained).tango(level).unwrap();
        near((least, most), (-other_most, -other_least));
        let difference = cases(n, gained, lost).difference();
        prop_assert!(least <= difference + 1e-9 && difference <= most + 1e-9);
        prop_assert!(-1.0 <= least && most <= 1.0);
        let (wider_least, wider_most) = cases(n, gained, lost).tango(f64::midpoint(1.0, level)).unwrap();
        prop_assert!(wider_least <= least && most <= wider_most);
        close(cases(n, gained, lost).mcnemar(), cases(n, lost, gained).mcnemar());
    }

    #[test]
    fn a_gained_case_speaks_for_the_candidate(gained in 0_u64..60, lost in 0_u64..60, others in 1_u64..100) {
        let n = gained + lost + others;
        let (before, after) = (cases(n, gained, lost), cases(n, gained + 1, lost));
        prop_assert!(before.tango(0.9).unwrap().0 <= after.tango(0.9).unwrap().0 + 1e-12);
        prop_assert!(after.mcnemar_better() <= before.mcnemar_better());
        prop_assert!(after.p_not_worse(0.05) <= before.p_not_worse(0.05) + 1e-12);
    }

    #[test]
    fn the_test_is_the_inverse_of_the_interval(gained in 0_u64..60, lost in 0_u64..60, others in 1_u64..100) {
        let seen = cases(gained + lost + others, gained, lost);
        let (least, _) = seen.tango(0.9).unwrap();
        if least > -1.0 {
            prop_assert!((seen.p_not_worse(-least) - 0.05).abs() < 1e-6);
        }
    }
}
